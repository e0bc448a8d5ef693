"""Checkpoints that a kill cannot take away."""

import os.path as osp
from collections import deque

from mmengine.dist import is_main_process, master_only
from mmengine.fileio import get_file_backend
from mmengine.hooks import CheckpointHook

from restorekit.checkpoint import atomic_write_text, plain, restore_history
from restorekit.registry import HOOKS


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook; the old checkpoint goes only after the new one is complete.

    With any runner, it also makes what is saved plain data (loads with ``weights_only=True``) and takes Python text
    out of what is loaded, so that nothing from a checkpoint is executed. Arguments as MMEngine's, with iterations
    as the default unit.
    """

    def __init__(self, interval=-1, by_epoch=False, **kwargs):
        super().__init__(interval=interval, by_epoch=by_epoch, **kwargs)

    def before_train(self, runner):
        """Find the folder, and what an earlier part of this run kept."""
        folder = self.out_dir or runner.work_dir
        self.out_dir = folder if folder == runner.work_dir else osp.join(folder, osp.basename(runner.work_dir))
        self.file_backend = get_file_backend(self.out_dir)
        info = runner.message_hub.get_info
        if self.save_best is not None and len(self.key_indicators) == 1:
            self.best_ckpt_path = info('best_ckpt')
        elif self.save_best is not None:
            self.best_ckpt_path_dict.update({key: info(f'best_ckpt_{key}') for key in self.key_indicators})
        self.keep_ckpt_ids = deque(info('keep_ckpt_ids', []))

    def before_save_checkpoint(self, runner, checkpoint):
        """Turn everything in ``checkpoint`` into tensors and plain Python data."""
        checkpoint.update(plain(dict(checkpoint)))

    def after_load_checkpoint(self, runner, checkpoint):
        """Rebuild the log's history and drop config text, which MMEngine would execute."""
        checkpoint.setdefault('meta', {}).pop('config', None)
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = restore_history(checkpoint['message_hub'])

    def _save_checkpoint_with_step(self, runner, step, meta):
        old = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            kept = [*self.keep_ckpt_ids, step]
            old, kept = kept[:-self.max_keep_ckpts], kept[-self.max_keep_ckpts:]
            self.keep_ckpt_ids = deque(kept)
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = osp.join(self.out_dir, filename)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(self.out_dir, filename, save_optimizer=self.save_optimizer,
                               save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
                               **self.args)
        if is_main_process():
            atomic_write_text(self.last_ckpt, osp.join(runner.work_dir, 'last_checkpoint'))
            self._remove(old)

    @master_only
    def _remove(self, steps):
        for step in steps:
            path = osp.join(self.out_dir, self.filename_tmpl.format(step))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

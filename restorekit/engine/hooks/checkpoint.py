"""Checkpoints that a kill cannot take away."""

import os
import os.path as osp
from collections import deque

from mmengine.dist import get_world_size, is_main_process
from mmengine.fileio import get_file_backend
from mmengine.hooks import CheckpointHook

from restorekit.checkpoint import plain, restore_history
from restorekit.config import ConfigError
from restorekit.engine.monitors import monitored
from restorekit.files.atomic import atomic_write_text, remove_temporaries
from restorekit.messages import InputError, did_you_mean, refuse_unused
from restorekit.registry import HOOKS

from ..stored_paths import stored_hub, stored_info


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """MMEngine's checkpoint hook; the old checkpoint, also the old best, goes only after the new one is complete.

    What a kill leaves over (half a temporary file, an old checkpoint) is removed by the resumed run. Checkpoints name
    each other by names alone, which are looked for in the folder of this run: a copy of a run, or a checkpoint from
    elsewhere, has nothing removed but what lies there.

    With any runner, it also makes what is saved plain data (loads with ``weights_only=True``) and takes Python text
    out of what is loaded, so that nothing from a checkpoint is executed.

    With ``save_last`` the weights are saved whenever training stops: at its end, by early stopping, or by an error
    between two iterations.

    Args:
        interval (int): Iterations (epochs) between checkpoints; -1: none but the last.
        by_epoch (bool): Whether epochs are counted; in a run of restorekit, as the training loop counts.
        save_best (str | list[str], optional): Keys of the validation (``'val/PSNR@rgb'``), plain names of metrics
            (``'PSNR'``), or ``'auto'``, the first key. One that the validation does not give is refused before the
            first iteration.
        rule (str | list[str], optional): ``'greater'`` or ``'less'``, with ``save_best``; default: as
            ``greater_keys`` and ``less_keys`` say, otherwise as the metric says.
        greater_keys, less_keys (list[str], optional): Names in ``save_best`` of which more, or less, is better.
        **kwargs: See MMEngine.
    """

    def __init__(self, interval=-1, by_epoch=False, save_best=None, rule=None, greater_keys=None, less_keys=None,
                 **kwargs):
        super().__init__(interval=interval, by_epoch=by_epoch, **kwargs)
        if not save_best:
            refuse_unused(self, dict(rule=rule, greater_keys=greater_keys, less_keys=less_keys), 'save_best', 'none')
        self.wanted = [save_best] if isinstance(save_best, str) else list(save_best or ())
        rules = [rule] if rule is None or isinstance(rule, str) else list(rule)
        self.wanted_rules = rules * len(self.wanted) if len(rules) == 1 else rules
        if len(self.wanted_rules) != len(self.wanted):
            raise InputError(f'default_hooks.checkpoint: rule must be one for all of save_best={save_best}, or one for '
                             f'each, but got {rule}')
        for key, better in ((greater_keys, 'greater'), (less_keys, 'less')):
            for name in [key] if isinstance(key, str) else key or ():
                if name not in self.wanted:
                    raise InputError(f'default_hooks.checkpoint: {better}_keys names {name!r}, which save_best='
                                     f'{save_best} does not; ' + did_you_mean(name, self.wanted, 'drop it'))
                at = self.wanted.index(name)
                if self.wanted_rules[at] not in (None, better):
                    raise InputError(f'default_hooks.checkpoint: {better}_keys has {name!r}, but its rule is '
                                     f'{self.wanted_rules[at]!r}; keep one')
                self.wanted_rules[at] = better

    def before_train(self, runner):
        """Find the folder, the keys of the best, and what an earlier part of this run kept.

        Raises:
            ConfigError: If the validation gives no such key; or if the runner ignores the config's phases.
        """
        if runner.cfg.get('phases'):
            raise ConfigError(f'{runner.cfg.filename}: the config has phases ({", ".join(runner.cfg.phases)}), which '
                              f'{type(runner).__name__} does not know: it would train the base config. Train it with '
                              'restorekit train CONFIG, or MultiPhaseRunner.from_cfg(cfg).train()')
        if self.wanted:
            found = [monitored(runner, name, rule, 'default_hooks.checkpoint.save_best')
                     for name, rule in zip(self.wanted, self.wanted_rules, strict=True)]
            self.save_best, self.is_better_than = list(dict.fromkeys(key for key, _ in found)), {}
            self._init_rule([dict(found)[key] for key in self.save_best], self.save_best)
            self.best_ckpt_path, self.best_ckpt_path_dict = None, {}
        folder = self.out_dir or runner.work_dir
        self.out_dir = folder if folder == runner.work_dir else osp.join(folder, osp.basename(runner.work_dir))
        self.file_backend = get_file_backend(self.out_dir)
        info = runner.message_hub.get_info
        for key, value in stored_info(runner.message_hub.runtime_info, self.out_dir).items():
            runner.message_hub.update_info(key, value)
        if self.save_best is not None and len(self.key_indicators) == 1:
            self.best_ckpt_path = info('best_ckpt')
        elif self.save_best is not None:
            self.best_ckpt_path_dict.update({key: info(f'best_ckpt_{key}') for key in self.key_indicators})
        kept = info('keep_ckpt_ids', [])
        old = kept[:-self.max_keep_ckpts] if self.max_keep_ckpts > 0 else []
        self.keep_ckpt_ids = deque(kept[len(old):])
        counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if get_world_size() > 1 and self.interval > 0 and self.interval % counts:
            raise InputError(f'default_hooks.checkpoint.interval={self.interval} is not a multiple of '
                             f'optim_wrapper.accumulative_counts={counts}: what the other processes have accumulated '
                             f'would be lost on resume; use {self.interval // counts * counts + counts}')
        if info('last_ckpt') and self.file_backend.isfile(info('last_ckpt')):
            self.last_ckpt = info('last_ckpt')
        if is_main_process():  # finish what a kill cut off
            if '://' not in self.out_dir:
                os.makedirs(self.out_dir, exist_ok=True)
            remove_temporaries(runner.work_dir)
            remove_temporaries(self.out_dir)
            if self.last_ckpt:
                self._point_to_last(runner)
            self._remove(old)
            self._remove(step for step in info('cut_ckpt_ids', []) if self._path(step) != self.last_ckpt)

    def save_cut(self, runner):
        """Save a checkpoint of an interrupted run; it goes when the resumed run has saved its next one.

        Returns:
            str | None: The checkpoint of the iterations done; None before the first one, or if ``by_epoch``.
        """
        step = runner.iter
        if self.by_epoch:
            self.save_last_weights(runner)
            return None
        if not step:
            return None
        if self.last_ckpt != self._path(step):
            runner.message_hub.update_info('cut_ckpt_ids', [*runner.message_hub.get_info('cut_ckpt_ids', []), step])
            self._write(runner, step, dict(epoch=runner.epoch, iter=step))
        return self.last_ckpt

    def before_save_checkpoint(self, runner, checkpoint):
        """Turn paths into names, and all else into tensors and plain Python data where the runner does not."""
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = stored_hub(checkpoint['message_hub'])
        if not getattr(runner, 'plain_checkpoints', False):
            checkpoint.update(plain(dict(checkpoint)))

    def after_load_checkpoint(self, runner, checkpoint):
        """Rebuild the log's history and drop config text, which MMEngine would execute, where the runner does not."""
        if getattr(runner, 'plain_checkpoints', False):
            return
        checkpoint.setdefault('meta', {}).pop('config', None)
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = stored_hub(restore_history(checkpoint['message_hub']), runner.work_dir)

    def after_train(self, runner):
        """Save the last weights, if a hook stopped training between two checkpoints."""
        self.save_last_weights(runner)
        super().after_train(runner)

    def save_last_weights(self, runner):
        """Save the weights as they are between two iterations, unless the last checkpoint holds them."""
        step = runner.epoch if self.by_epoch else runner.iter
        whole = not self.by_epoch or runner.iter == runner.epoch * len(runner.train_dataloader)
        if not self.save_last or not step or not whole:
            return
        if self.last_ckpt != self._path(step):
            runner.logger.info(f'Saving checkpoint at {step} {"epochs" if self.by_epoch else "iterations"}')
            self._save_checkpoint_with_step(runner, step, dict(epoch=runner.epoch, iter=runner.iter))

    def best_checkpoint(self):
        """The best checkpoint by the first key of ``save_best``, or None."""
        if not self.wanted or not self.save_best:
            return None
        return self.best_ckpt_path or self.best_ckpt_path_dict.get(self.key_indicators[0])

    def _save_checkpoint_with_step(self, runner, step, meta):
        old = []
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            kept = [*self.keep_ckpt_ids, step]
            # the checkpoint lists those it makes old, too: a run killed before they are gone removes them later
            runner.message_hub.update_info('keep_ckpt_ids', kept)
            old = kept[:-self.max_keep_ckpts]
            self.keep_ckpt_ids = deque(kept[-self.max_keep_ckpts:])
        cut = [other for other in runner.message_hub.get_info('cut_ckpt_ids', []) if other != step]
        self._write(runner, step, meta)
        if is_main_process():
            self._remove(old)
            self._remove(cut)
        runner.message_hub.update_info('cut_ckpt_ids', [])

    def _write(self, runner, step, meta):
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self._path(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(self.out_dir, filename, save_optimizer=self.save_optimizer,
                               save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
                               **self.args)
        if is_main_process():
            self._point_to_last(runner)

    def _path(self, step):
        return osp.join(self.out_dir, self.filename_tmpl.format(step))

    def _point_to_last(self, runner):
        # MMEngine's own runner takes what stands there for a path
        text = osp.basename(self.last_ckpt) if getattr(runner, 'plain_checkpoints', False) else self.last_ckpt
        atomic_write_text(text, osp.join(runner.work_dir, 'last_checkpoint'))

    def _save_best_checkpoint(self, runner, metrics):
        """Save the best as MMEngine does, and remove the old best after the new one is complete, not before."""
        def paths():
            return [self.best_ckpt_path] if len(self.key_indicators) == 1 else list(self.best_ckpt_path_dict.values())
        if self.save_best is None:
            return
        missing = [key for key in self.key_indicators if key not in metrics]
        if missing:
            raise InputError(f'default_hooks.checkpoint.save_best names {", ".join(missing)}, but the validation gives '
                             f'{", ".join(metrics) or "no metric"}')
        key, info = self.key_indicators[0], runner.message_hub.get_info
        best = info('best_score' if len(self.key_indicators) == 1 else f'best_score_{key}')
        if best is None or self.is_better_than[key](metrics[key], best):  # saved with the checkpoints below
            runner.message_hub.update_info('best_metrics', {name: float(value) for name, value in metrics.items()})
        old, backend = paths(), self.file_backend
        self.file_backend = _KeepsFiles(backend)
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        self._remove_files([path for path in old if path and path not in paths()])

    def _remove_files(self, paths):
        backend = self.file_backend
        if isinstance(backend, _KeepsFiles):  # a new best also saves a checkpoint, which makes another old
            backend = backend.backend
        if is_main_process():
            for path in paths:
                if backend.isfile(path):
                    backend.remove(path)

    def _remove(self, steps):
        self._remove_files([self._path(step) for step in steps])


class _KeepsFiles:
    """A file backend that finds no file to remove."""

    def __init__(self, backend):
        self.backend = backend

    def __getattr__(self, name):
        return getattr(self.backend, name)

    def isfile(self, path):
        return False

    isdir = isfile

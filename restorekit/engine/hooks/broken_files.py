"""The files that could not be read, listed at the end."""

import os.path as osp

from mmengine.dist import all_gather_object
from mmengine.hooks import Hook

from restorekit.files.atomic import atomic_write_text
from restorekit.registry import HOOKS

SHOWN = 5


@HOOKS.register_module()
class BrokenFilesHook(Hook):
    """Log which files datasets with ``on_error='skip'`` left out, over all processes.

    At the end of training, and of each validation or test that found more; more than five are written to
    ``broken_files.txt`` in the work dir. :class:`RestoreRunner` has this hook by default.
    """

    def __init__(self):
        self.known = set()

    def after_train(self, runner):
        """List what training left out."""
        self._report(runner, runner.train_dataloader)

    def after_val(self, runner):
        """List what validation left out."""
        self._report(runner, runner.val_dataloader)

    def after_test(self, runner):
        """List what the test left out."""
        self._report(runner, runner.test_dataloader)

    def _report(self, runner, loader):
        dataset = loader.dataset
        if not any(getattr(leaf, 'on_error', None) == 'skip' for _, leaf in getattr(dataset, 'leaves', list)()):
            return
        found = {path for paths in all_gather_object(dataset.broken()) for path in paths}
        if found <= self.known:
            return
        self.known |= found
        paths = sorted(self.known)
        text = ', '.join(paths[:SHOWN])
        if len(paths) > SHOWN:
            target = osp.join(runner.work_dir, 'broken_files.txt')
            text += f', ...; all are listed in {target}'
            if runner.rank == 0:
                atomic_write_text(''.join(f'{path}\n' for path in paths), target)
        count = '1 file' if len(paths) == 1 else f'{len(paths)} files'
        runner.logger.warning(f'{count} could not be read and were left out: {text}')

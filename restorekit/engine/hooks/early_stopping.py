"""Early stopping that knows which way a metric is better."""

from math import inf

from mmengine.hooks import EarlyStoppingHook

from restorekit.engine.monitors import monitored
from restorekit.messages import InputError
from restorekit.registry import HOOKS


@HOOKS.register_module(name='EarlyStoppingHook')
class DirectedEarlyStoppingHook(EarlyStoppingHook):
    """MMEngine's early stopping, whose ``monitor`` may be a metric's plain name and needs no ``rule``.

    A key that the validation does not give is refused before the first iteration. The weights at the stop are saved
    (:class:`SafeCheckpointHook`). A resumed run goes on counting where it was cut: the best value so far and the
    validations without a better one are in the checkpoint.

    Args:
        monitor (str): Key of the validation (``'val/PSNR@rgb'``), a metric's name (``'PSNR'``), or ``'auto'``.
        rule (str, optional): ``'greater'`` or ``'less'``; default: as the metric says.
        **kwargs: ``min_delta``, ``patience``, ``stopping_threshold`` and others, see MMEngine.
    """

    def __init__(self, monitor, rule=None, **kwargs):
        super().__init__(monitor, rule or 'greater', **kwargs)
        if self.patience < 1:
            raise InputError('EarlyStoppingHook: patience is the number of validations without a better one that end '
                             f'the run, at least 1, but got {self.patience}')
        self.given_rule = rule

    def before_run(self, runner):
        """Find the key and its direction."""
        super().before_run(runner)
        self.monitor, self.rule = monitored(runner, self.monitor, self.given_rule, 'EarlyStoppingHook.monitor')
        self.min_delta = abs(self.min_delta) * (1 if self.rule == 'greater' else -1)
        self.best_score = -inf if self.rule == 'greater' else inf

    def before_train(self, runner):
        """Take up the count of the run that is resumed."""
        self.seen_at, self.wait_count, self.best_score = runner.message_hub.get_info(
            self._place, [None, self.wait_count, self.best_score])

    def after_val_epoch(self, runner, metrics):
        """Decide whether to stop; a validation that a resumed run repeats does not count twice."""
        if runner.iter != self.seen_at:
            super().after_val_epoch(runner, metrics)
            self.seen_at = runner.iter
        runner.message_hub.update_info(self._place, [self.seen_at, self.wait_count, float(self.best_score)])

    @property
    def _place(self):
        return f'early_stopping_{self.monitor}'

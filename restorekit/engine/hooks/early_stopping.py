"""Early stopping that knows which way a metric is better."""

from math import inf

from mmengine.hooks import EarlyStoppingHook

from restorekit.engine.monitors import monitored
from restorekit.registry import HOOKS


@HOOKS.register_module(name='EarlyStoppingHook')
class DirectedEarlyStoppingHook(EarlyStoppingHook):
    """MMEngine's early stopping, whose ``monitor`` may be a metric's plain name and needs no ``rule``.

    A key that the validation does not give is refused before the first iteration. The weights at the stop are saved
    (:class:`SafeCheckpointHook`).

    Args:
        monitor (str): Key of the validation (``'val/PSNR@rgb'``), a metric's name (``'PSNR'``), or ``'auto'``.
        rule (str, optional): ``'greater'`` or ``'less'``; default: as the metric says.
        **kwargs: ``min_delta``, ``patience``, ``stopping_threshold`` and others, see MMEngine.
    """

    def __init__(self, monitor, rule=None, **kwargs):
        super().__init__(monitor, rule or 'greater', **kwargs)
        self.given_rule = rule

    def before_run(self, runner):
        """Find the key and its direction."""
        super().before_run(runner)
        self.monitor, self.rule = monitored(runner, self.monitor, self.given_rule, 'EarlyStoppingHook.monitor')
        self.min_delta = abs(self.min_delta) * (1 if self.rule == 'greater' else -1)
        self.best_score = -inf if self.rule == 'greater' else inf

"""BatchNorm's running statistics, the same in every process."""

import torch
from mmengine.dist import all_reduce, broadcast, get_world_size
from mmengine.hooks import Hook
from torch.nn.modules.batchnorm import _BatchNorm

from restorekit.registry import HOOKS


@HOOKS.register_module()
class BatchNormMeanHook(Hook):
    """Make BatchNorm's running statistics common to all processes after each iteration: their mean.

    What is validated, averaged (EMA) and saved is then the same in every process, and does not depend on when a
    checkpoint is written, so that a run that was cut resumes bit for bit. :class:`RestoreRunner` has this hook by
    default; in a single process it does nothing.
    """

    priority = 'VERY_HIGH'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Average; every process must call."""
        average_batch_norm(runner.model)


@torch.no_grad()
def average_batch_norm(model):
    """Give every process the mean of all processes' running statistics of BatchNorm; all must call.

    Modules that are in eval mode (frozen: the mean of equal numbers may round; or copies, as a teacher is) have the
    first process's.
    """
    if get_world_size() == 1:
        return
    modules = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for training, exchange in ((True, _mean), (False, broadcast)):
        statistics = [statistic for module in modules if module.training == training
                      for statistic in (module.running_mean, module.running_var)]
        if statistics:
            common = torch.cat(statistics)
            exchange(common)
            for statistic, part in zip(statistics, common.split([len(each) for each in statistics]), strict=True):
                statistic.copy_(part)


def _mean(x):
    all_reduce(x, op='mean')

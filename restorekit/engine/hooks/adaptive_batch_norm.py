"""BatchNorm with the statistics of what is restored instead of what was trained on."""

from __future__ import annotations

import torch
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from restorekit.distributed import world_size
from restorekit.messages import InputError, refuse_unused
from restorekit.random import derive_seed
from restorekit.registry import DATASETS, HOOKS


@HOOKS.register_module()
class AdaptiveBatchNormHook(Hook):
    r"""Estimate BatchNorm's statistics anew, on unlabelled images, for each validation and test alone.

    .. math:: \mu \leftarrow (1 - a)\,\mu_s + a\,\mu_t,\qquad \sigma^2 \leftarrow (1 - a)\,\sigma_s^2 + a\,\sigma_t^2

    with the training's :math:`\mu_s, \sigma_s^2` and the mean and the mean variance of the batches of ``dataset``.
    ``share`` a = 1 is AdaBN (Li et al., "Revisiting batch normalization for practical domain adaptation", 2016);
    smaller, its mixture for few images (Schneider et al., "Improving robustness against common corruptions by covariate
    shift adaptation", 2020). Without a ``dataset`` every image is normalised with its own statistics (``a`` = 1 only).

    Args:
        dataset (dict | str | None): Of ``DATASETS``: unlabelled images of one size, as :class:`SingleDataset` with a
            crop; 'target': the target images of the training data (:class:`DomainPairDataset`).
        batches (int): Batches that are looked at.
        batch_size (int): Images of each.
        share (float): a in (0, 1].

    Raises:
        InputError: For an option out of range; from the first validation, if the network has no BatchNorm.
    """

    def __init__(self, dataset: dict | str | None = 'target', batches: int = 8, batch_size: int = 8,
                 share: float = 1.0):
        if batches < 1 or batch_size < 1 or not 0 < share <= 1 or (dataset is None and share != 1):
            raise InputError('AdaptiveBatchNormHook: batches and batch_size must be at least 1 and share in (0, 1] (1 '
                             f'without a dataset), but got {batches}, {batch_size} and {share}')
        if dataset is None:
            refuse_unused(self, dict(batches=batches, batch_size=batch_size), 'a dataset', 'dataset=None')
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.batches, self.batch_size, self.share = batches, batch_size, share
        self._saved = None

    def before_val_epoch(self, runner):
        """Adapt."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        layers = [layer for layer in model.network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
        if not layers:
            raise InputError(f'AdaptiveBatchNormHook: {type(model.network).__name__} has no BatchNorm layer')
        if self.dataset == 'target':
            self.dataset = getattr(runner.train_dataloader.dataset, 'target', None)
            if self.dataset is None:
                raise InputError("AdaptiveBatchNormHook: dataset='target' needs a DomainPairDataset with a target to "
                                 'train on; or name a dataset')
        if self.dataset is not None and world_size() > 1:
            raise InputError('AdaptiveBatchNormHook runs in one process')
        self._saved = [(layer, layer.momentum, {name: None if value is None else value.clone()
                                                for name, value in layer._buffers.items()}) for layer in layers]
        if self.dataset is None:
            for layer in layers:  # eval mode without running statistics: the loop calls eval() after this
                layer.running_mean = layer.running_var = None
            return
        adapt_batch_norm(model, layers, self._images(), self.share)

    def after_val_epoch(self, runner, metrics=None):
        """Put the training's statistics back."""
        for layer, momentum, buffers in self._saved:
            layer.momentum = momentum
            layer._buffers.update(buffers)
        self._saved = None

    before_test_epoch = before_val_epoch
    after_test_epoch = after_val_epoch

    def _images(self):
        n = len(self.dataset)
        for k in range(self.batches):
            draws = [(derive_seed(k, i) % n, derive_seed(k, i, 1)) for i in range(self.batch_size)]
            yield pseudo_collate([self.dataset[draw] for draw in draws])


@torch.no_grad()
def adapt_batch_norm(model: nn.Module, layers: list[nn.Module], batches, share: float = 1.0) -> None:
    """Give BatchNorm layers the mean statistics of collated ``batches``, mixed with their own; see the hook."""
    own = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a cumulative mean
        layer.train()
    for batch in batches:
        model.network(model.data_preprocessor(batch)['inputs'])
    for layer, (mean, var) in zip(layers, own, strict=True):
        layer.eval()
        layer.running_mean.lerp_(mean, 1 - share)
        layer.running_var.lerp_(var, 1 - share)

"""The plain restorer: any network, any named losses."""

import copy

import torch
from mmengine.model import BaseModel
from torch import nn

from restorekit.functional.images import to_unit
from restorekit.functional.padding import unpad
from restorekit.functional.ranges import rescale
from restorekit.messages import InputError, UserError, nearest
from restorekit.registry import MODELS


class NonFiniteError(UserError, FloatingPointError):
    """Something in training became NaN or infinite; training stops before the weights do."""


class NonFiniteLossError(NonFiniteError):
    """A loss became NaN or infinite."""


class NonFiniteGradientError(NonFiniteError):
    """A gradient became NaN or infinite."""


@MODELS.register_module()
class Restorer(BaseModel):
    """Train any restoration network with named losses, and restore with it.

    Args:
        network (dict): From ``MODELS``; see :class:`RestorationNetwork` for its contract.
        losses (dict[str, dict]): Name to loss; ``losses=dict(pixel=dict(type='L1Loss'))`` logs ``loss_pixel``. All
            losses see images in [0, 1].
        frozen (list[str]): Modules that do not learn, as dotted paths from here (``'network.encoder'``): no gradient,
            eval mode (BatchNorm statistics too), not in the optimizer.
        data_preprocessor (dict, optional): Default: :class:`RestorePreprocessor`.
        init_cfg (dict, optional): See MMEngine.

    Raises:
        ValueError: If ``frozen`` names no module; the message gives the nearest names.
    """

    def __init__(self, network, losses=None, frozen=(), data_preprocessor=None, init_cfg=None):
        preprocessor = data_preprocessor or dict(type='RestorePreprocessor')
        # built here and not by MMEngine, whose registry knows ours only under a default scope
        super().__init__(MODELS.build(preprocessor) if isinstance(preprocessor, dict) else preprocessor, init_cfg)
        self.network = MODELS.build(network) if isinstance(network, dict) else network
        self.losses = nn.ModuleDict({name: MODELS.build(loss) for name, loss in (losses or {}).items()})
        if hasattr(self.data_preprocessor, 'bind'):
            self.data_preprocessor.bind(self.network)
        self.frozen = tuple(frozen)
        modules = dict(self.named_modules())
        for name in self.frozen:
            if name not in modules:
                near = nearest(name, modules, n=3, cutoff=0.3)
                raise InputError(f'frozen names {name!r}, which is no module of this {type(self).__name__}; '
                                 f'the nearest are {near}')
            modules[name].requires_grad_(False)

    def train(self, mode=True):
        """Set the mode; frozen modules stay in eval mode."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def forward(self, inputs, data_samples=None, mode='tensor', target=None):
        """Run in one of three modes.

        Args:
            inputs (Tensor | list[Tensor]): From the preprocessor.
            data_samples (list[RestoreSample], optional): One per image.
            mode (str): ``'loss'`` returns a dict of losses, ``'predict'`` a list of samples with ``pred``,
                ``'tensor'`` the network's raw output.
            target (Tensor, optional): Images of the target domain, used by restorers that adapt.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples, target)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.network(inputs)
        raise InputError(f"mode must be 'loss', 'predict' or 'tensor', but is {mode!r}")

    def loss(self, inputs, data_samples, target=None):
        """Compute the named losses on a batch."""
        pred = self.to_unit(self.network(inputs), data_samples)
        return self.supervised_losses(pred, self.ground_truth(data_samples))

    def supervised_losses(self, pred, gt, weight=None):
        """All named losses of ``pred`` (N, 3, H, W) against ``gt``, both in [0, 1], as ``loss_<name>``."""
        if not self.losses:
            raise InputError('training needs losses, for example model=dict(losses=dict(pixel=dict(type="L1Loss")))')
        return {f'loss_{name}': loss(pred, gt, weight=weight) for name, loss in self.losses.items()}

    @torch.no_grad()
    def predict(self, inputs, data_samples=None):
        """Restore each image at its own size; returns the samples with ``pred`` in [0, 1]."""
        if data_samples is None:
            data_samples = [None] * len(inputs)
        batched = isinstance(inputs, torch.Tensor)
        outputs = self.network(inputs) if batched else [self.network(image[None])[0] for image in inputs]
        results = []
        for output, sample in zip(outputs, data_samples, strict=True):
            pred = self.to_unit(output[None], [sample])[0].clamp(0, 1).float()
            if sample is None:
                results.append(pred)
                continue
            sample = copy.copy(sample)
            sample.pred = pred
            results.append(sample)
        return results

    def to_unit(self, output, data_samples):
        """Map a network's output from its declared range to [0, 1] and cut the padding off (not clamped)."""
        output = rescale(output, self.network.output_range)
        padding = data_samples[0].get('padding') if data_samples and data_samples[0] is not None else None
        return unpad(output, padding) if padding and any(padding) else output

    def ground_truth(self, data_samples):
        """Stack the clear images of a batch, (N, 3, H, W) in [0, 1]."""
        missing = [sample.get('img_path') for sample in data_samples if 'gt' not in sample]
        if missing:
            raise InputError(f'{len(missing)} samples of the training batch have no ground truth (first: '
                             f'{missing[0]}); train on a paired set, or degrade clear images with Degrade')
        return to_unit(torch.stack([sample.gt for sample in data_samples]))

    def parse_losses(self, losses):
        """Sum what is named ``loss*`` and log the rest.

        Unlike MMEngine's, which adds every key that contains "loss" anywhere.

        Raises:
            NonFiniteLossError: If a loss is NaN or infinite; names it.
        """
        terms = {name: value.mean() for name, value in losses.items() if name.startswith('loss')}
        total = sum(terms.values())
        if not torch.isfinite(total.detach()):
            bad = {name: float(value.detach()) for name, value in terms.items() if not torch.isfinite(value.detach())}
            raise NonFiniteLossError(f'{" and ".join(f"{name} is {value}" for name, value in bad.items())}'
                                     if bad else f'the sum of {", ".join(terms)} is {float(total.detach())}')
        logged = {name: value for name, value in losses.items() if name not in terms}
        return total, dict(loss=total, **terms, **logged)

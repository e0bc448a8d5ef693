"""The plain restorer: any network, any named losses."""

import copy
import inspect

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import nn

from restorekit.checkpoint.state_dict import weights_digest
from restorekit.functional.images import to_unit
from restorekit.functional.padding import pad_to_multiple, unpad
from restorekit.functional.ranges import rescale
from restorekit.messages import InputError, InputTypeError, UserError, nearest
from restorekit.models.losses.features import Frozen
from restorekit.registry import MODELS


class NonFiniteError(UserError, FloatingPointError):
    """Something in training became NaN or infinite; training stops, before the weights do where it can."""


class NonFiniteLossError(NonFiniteError):
    """A loss became NaN or infinite."""


class NonFiniteGradientError(NonFiniteError):
    """A gradient became NaN or infinite."""


class NonFiniteWeightsError(NonFiniteError):
    """The weights have become NaN or infinite, and are not saved."""


def extra_arguments(loss: nn.Module) -> tuple[str, ...]:
    """Return what a loss asks for beyond prediction, truth and weight: its keyword-only arguments, or its ``needs``.

    Example:
        >>> from restorekit.models.losses import ContrastiveLoss, L1Loss
        >>> extra_arguments(L1Loss()), extra_arguments(ContrastiveLoss({'relu1_1': 1}, pretrained=None))
        ((), ('input',))
    """
    if hasattr(loss, 'needs'):
        return tuple(loss.needs)
    parameters = inspect.signature(loss.forward).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


def _named(losses):
    """Return a list of losses as a dict, each under its type."""
    named = {}
    for i, loss in enumerate(losses):
        if loss is not None:
            if not isinstance(loss, dict) or not isinstance(loss.get('type'), str):
                raise InputError(f"losses[{i}] must be a dict with a 'type', but got {loss!r}")
            name = loss['type'].rpartition('.')[2].removesuffix('Loss').lower()
            if name in named:
                raise InputError(f'losses has {loss["type"]} twice; give them names: losses=dict(a=dict(...), b=...)')
            named[name] = loss
    return named


@MODELS.register_module()
class Restorer(BaseModel):
    """Train any restoration network with named losses, and restore with it.

    Of a network with several outputs (``forward_all``) each is compared with the ground truth, resized by area where
    the output is smaller, and the losses are summed. A loss gets what its keyword-only arguments name: ``input``, the
    degraded images (N, 3, H, W) in [0, 1], and ``embedding``, the network's embedding map; restorers that have more
    (a teacher, a discriminator) hand over more.

    Args:
        network (dict): From ``MODELS``; see :class:`RestorationNetwork` for its contract.
        losses (dict[str, dict | None] | list[dict]): Name to loss; ``losses=dict(pixel=dict(type='L1Loss'))`` logs
            ``loss_pixel``. None drops one; in a list each is named by its type, as ``l1``. All losses see images in
            [0, 1].
        frozen (list[str]): Modules that do not learn, as dotted paths from here (``'network.encoder'``): no gradient,
            eval mode (BatchNorm statistics too), not in the optimizer.
        data_preprocessor (dict, optional): Default: :class:`RestorePreprocessor`.
        init_cfg (dict, optional): See MMEngine.

    Raises:
        ValueError: If ``frozen`` names no module, a loss asks for what this restorer does not have, or the
            preprocessor is MMEngine's.
    """

    def __init__(self, network, losses=None, frozen=(), data_preprocessor=None, init_cfg=None):
        preprocessor = data_preprocessor or dict(type='RestorePreprocessor')
        # built here and not by MMEngine, whose registry knows ours only under a default scope
        super().__init__(MODELS.build(preprocessor) if isinstance(preprocessor, dict) else preprocessor, init_cfg)
        kind = type(self.data_preprocessor)
        if kind.__module__.startswith('mmengine.'):
            raise InputError(f'data_preprocessor: {kind.__name__} is MMEngine\'s, which leaves images in 0 to 255 and '
                             'does not undo its padding; leave it out, or use RestorePreprocessor or a class derived '
                             'from it')
        if network is None:
            raise InputError(f'{type(self).__name__} needs a network: model.network is None')
        if isinstance(losses, (list, tuple)):
            losses = _named(losses)
        if losses is not None and not isinstance(losses, dict):
            raise InputError(f'losses must be a dict of names and losses, but got {losses!r}')
        if not isinstance(frozen, (list, tuple)) or not all(isinstance(name, str) for name in frozen):
            raise InputError(f'frozen must be a list of names of modules, but got {frozen!r}')
        if not isinstance(network, (nn.Module, dict)):
            raise InputTypeError(f"{type(self).__name__}: network must be a dict with a 'type', but got {network!r}")
        self.network = network if isinstance(network, nn.Module) else MODELS.build(network)
        self.losses = nn.ModuleDict({name: MODELS.build(loss) for name, loss in (losses or {}).items()
                                     if loss is not None})
        #: Of each loss, what it asks for beyond prediction, truth and weight.
        self.asked = {name: extra_arguments(loss) for name, loss in self.losses.items()}
        self._check_asked()
        self._needed = {argument for asked in self.asked.values() for argument in asked}
        if hasattr(self.data_preprocessor, 'bind'):
            self.data_preprocessor.bind(self.network)
        self.frozen = tuple(frozen)
        modules = dict(self.named_modules())
        for name in self.frozen:
            if name not in modules:
                near = nearest(name, modules, n=3, cutoff=0.3)
                raise InputError(f'frozen names {name!r}, which is not a module of this {type(self).__name__}; '
                                 f'the nearest are {near}')
            modules[name].requires_grad_(False)

    def train(self, mode=True):
        """Set the mode; frozen modules stay in eval mode."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def forward(self, inputs, data_samples=None, mode='tensor', target=None, features=None, target_features=None):
        """Run in one of three modes.

        Args:
            inputs (Tensor | list[Tensor]): From the preprocessor.
            data_samples (list[RestoreSample], optional): One per image.
            mode (str): ``'loss'`` returns a dict of losses, ``'predict'`` a list of samples with ``pred``,
                ``'tensor'`` the network's raw output.
            target (Tensor, optional): Images of the target domain, used by restorers that adapt.
            features (tuple[Tensor], optional): The encoder's maps of ``inputs``, of :class:`CachedFeatures`.
            target_features (tuple[Tensor], optional): The same of ``target``.
        """
        if mode == 'loss':
            if features is None:
                return self.loss(inputs, data_samples, target)
            self._check_features(data_samples)
            return self.loss(inputs, data_samples, target, features, target_features)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.network(inputs)
        raise InputError(f"mode must be 'loss', 'predict' or 'tensor', but got {mode!r}")

    #: Who has what a loss may ask for.
    providers = dict(input='Restorer', embedding='Restorer', teacher='DistillationRestorer',
                     discriminator='AdversarialRestorer')
    #: Whether its weights are used in ``forward`` only, so that :class:`FullyShardedModel` may cut them.
    shardable = True
    #: What this restorer hands to losses that ask for it.
    provides = ('input', 'embedding')

    def _check_asked(self):
        for name, asked in self.asked.items():
            for argument in asked:
                if argument not in self.provides:
                    near = self.providers.get(argument)
                    raise InputError(
                        f'the loss {name} ({type(self.losses[name]).__name__}) asks for {argument!r}, which a '
                        f'{type(self).__name__} does not have' + (f'; use a {near}' if near else ''))
        if any('embedding' in asked for asked in self.asked.values()) and self.network.embedding_dim is None:
            raise InputError(f'{type(self.network).__name__} has no embedding, which a loss asks for; use a network '
                             'that defines embed(x)')

    def init_weights(self):
        """Initialise as ``init_cfg`` says, and read the files that losses need."""
        super().init_weights()
        for module in self.losses.modules():
            if isinstance(module, Frozen) and hasattr(module, 'load'):
                module.load()

    def loss(self, inputs, data_samples, target=None, features=None, target_features=None):
        """Compute the named losses on a batch."""
        gt = self.ground_truth(data_samples)
        smaller, output, known = self.outputs(inputs, features, embed='embedding' in self._needed)
        losses = self.supervised_losses(self.to_unit(output, data_samples), gt,
                                        extras=self.extras(inputs, data_samples, **known))
        losses.update(self.intermediate_losses(smaller, gt))
        return losses

    def outputs(self, inputs, features=None, embed=False):
        """Run the network on a batch.

        Args:
            inputs (Tensor): (N, 3, H, W) in the network's input range, padded.
            features (tuple[Tensor], optional): The maps of its encoder, which is not run then.
            embed (bool): Whether the embedding is needed.

        Returns:
            tuple[list[Tensor], Tensor, dict]: The outputs before the last one, the last, and ``embedding`` if needed.
        """
        network = self.network if features is None else self.network.decoder
        given = (inputs,) if features is None else (features, inputs)
        if features is None and hasattr(network, 'forward_all'):
            *smaller, output = network.forward_all(inputs)
            return smaller, output, dict(embedding=network.embed(inputs)) if embed else {}
        if not embed:
            return [], network(*given), {}
        output, embedding = network.forward_features(*given)
        return [], output, dict(embedding=embedding)

    def _check_features(self, data_samples):
        """Refuse maps of another encoder than the network's, once; and an encoder that learns."""
        if getattr(self, '_features_checked', False):
            return
        encoder = getattr(self.network, 'encoder', None)
        if encoder is None or not hasattr(self.network, 'decoder'):
            raise InputError(f'cached features need a network of an encoder and a decoder, but got '
                             f'{type(self.network).__name__}')
        learns = any(parameter.requires_grad for parameter in encoder.parameters())
        if learns or (encoder.training and next(encoder.buffers(), None) is not None):
            raise InputError("the features are cached, so the encoder cannot learn; set frozen=['network.encoder']")
        found, cached = weights_digest(encoder), data_samples[0].get('encoder_digest')
        if found != cached:
            raise InputError(f'the cached features were made by another encoder ({str(cached)[:12]}...) than the '
                             f"network's ({found[:12]}...); give CachedFeatures the weights that training starts from")
        self._features_checked = True

    def extras(self, inputs, data_samples, **known):
        """Return what losses ask for, as far as any does.

        Args:
            inputs (Tensor): (N, 3, H, W) in the network's input range, padded.
            data_samples (list[RestoreSample]): One per image.
            **known: What the caller has already.
        """
        if 'input' in self._needed:
            known['input'] = self.unpadded(rescale(inputs, self.network.input_range), data_samples)
        return known

    def intermediate_losses(self, smaller, gt, weight=None):
        """All losses that look at two images only, of the outputs before the last, against the truth at their size.

        Args:
            smaller (list[Tensor]): These outputs, (N, 3, h, w) each, in the network's output range.
            gt (Tensor): (N, 3, H, W) in [0, 1].
            weight (Tensor, optional): Per sample (N,).

        Returns:
            dict[str, Tensor]: ``loss_<name>_<number>``.
        """
        losses = {}
        for number, image in enumerate(smaller):
            padded, _ = pad_to_multiple(gt, self.network.size_divisor, self.network.min_size)
            wanted = F.interpolate(padded, image.shape[-2:], mode='area')
            image = rescale(image, self.network.output_range)
            losses.update((f'loss_{name}_{number}', loss(image, wanted, weight=weight))
                          for name, loss in self.losses.items() if not self.asked[name])
        return losses

    def supervised_losses(self, pred, gt, weight=None, extras=None):
        """All named losses of ``pred`` (N, 3, H, W) against ``gt``, both in [0, 1], as ``loss_<name>``.

        Args:
            pred (Tensor): (N, 3, H, W).
            gt (Tensor): The same shape.
            weight (Tensor, optional): Per sample (N,) or per pixel.
            extras (dict, optional): From :meth:`extras`.
        """
        if not self.losses:
            raise InputError('training needs losses, for example model=dict(losses=dict(pixel=dict(type="L1Loss")))')
        return {f'loss_{name}': loss(pred, gt, weight=weight, **{key: extras[key] for key in self.asked[name]})
                for name, loss in self.losses.items()}

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
        return self.unpadded(rescale(output, self.network.output_range), data_samples)

    @staticmethod
    def unpadded(output, data_samples):
        """Cut off what the preprocessor added at the right and below."""
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

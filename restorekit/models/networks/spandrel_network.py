"""Networks of the library spandrel: by their checkpoint, or by name and hyper-parameters."""

from __future__ import annotations

import importlib
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from restorekit.checkpoint import CheckpointError, network_state
from restorekit.messages import InputError, MissingDependencyError, did_you_mean
from restorekit.registry import MODELS

from .base import RestorationNetwork

_SOURCE = 'https://github.com/chaiNNer-org/spandrel/tree/main/libs/spandrel/spandrel/architectures'
#: Architectures that were trained on images in [-1, 1], of which spandrel knows but the output to be.
_SHIFTED = frozenset({'MixDehazeNet'})
#: Of the weights that the authors published, by architecture.
_LICENCES = dict(NAFNet='MIT', Uformer='MIT', SCUNet='Apache-2.0', RetinexFormer='MIT', HVICIDNet='MIT',
                 MixDehazeNet='MIT')


@MODELS.register_module()
class SpandrelNetwork(RestorationNetwork):
    """A restoration network of spandrel (chaiNNer), which keeps those of others well: NAFNet, SCUNet and many more.

    Give a file of weights, from which architecture and hyper-parameters are found, or name both to train from scratch.
    What spandrel knows of sizes and tiling is declared; the image goes to the network in the range it was trained in
    (spandrel 0.4 feeds MixDehazeNet [0, 1], which was trained on [-1, 1]; here it gets that). A network that needs
    squares (Uformer) gets them, by repeated borders. There is no embedding.

    Args:
        architecture (str, optional): As spandrel calls it, for example ``'NAFNet'``, ``'Uformer'``, ``'SCUNet'``,
            ``'RetinexFormer'``, ``'HVICIDNet'``, ``'MixDehazeNet'``; None finds it from ``pretrained``.
        hyperparameters (dict, optional): Arguments of its class; default: those of the class, or of the file.
        pretrained (str, optional): Path, or URL with its hash, of a state dict in the authors' names; read as data,
            without running code from it.
        state (dict[str, Tensor], optional): The weights themselves instead.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Attributes:
        architecture (str): What spandrel calls it.
        notice (str): Whose it is; printed when it is used.

    Raises:
        MissingDependencyError: If spandrel is not installed.
        InputError: If neither is given, the name is unknown, the hyper-parameters do not fit, or the network does not
            restore RGB images at their own size.
        CheckpointError: If spandrel does not know the file's network, it is another one than was named, or it does not
            restore RGB images of the same size; the message names scale or channels.

    Example:
        >>> network = SpandrelNetwork('NAFNet', dict(width=8, enc_blk_nums=[1], dec_blk_nums=[1]))
        >>> network.size_divisor
        2
    """

    tiling = 'approximate'
    pads_after = True

    def __init__(self, architecture: str | None = None, hyperparameters: dict[str, Any] | None = None,
                 pretrained: str | None = None, state: dict[str, Tensor] | None = None, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        spandrel = _import_spandrel()
        source = 'the state dict' if pretrained is None else str(pretrained)
        if pretrained is not None and state is not None:
            raise InputError('SpandrelNetwork takes its weights from pretrained or from state, but got both')
        if architecture is None and hyperparameters is not None:
            raise InputError('SpandrelNetwork: hyperparameters are those of an architecture, but got none; give it, or '
                             'drop hyperparameters, which are read from the weights')
        if pretrained is not None:
            from restorekit.models.losses.features import read_content  # with it come all losses
            state = network_state(read_content(source), source)
        if architecture is None and state is None:
            raise InputError("SpandrelNetwork needs an architecture, such as 'NAFNet', or a file of weights in "
                             'pretrained, but got neither')
        if architecture is None or (hyperparameters is None and state is not None):
            descriptor = _from_weights(spandrel, state, source)
            if architecture not in (None, descriptor.architecture.id):
                raise CheckpointError(f'{source} holds a {descriptor.architecture.id}, not a {architecture}')
            self.body = descriptor.model
        else:
            self.body = _build(spandrel, architecture, hyperparameters or {})
            with _RatesOnCpu():
                descriptor = spandrel.MAIN_REGISTRY[architecture].architecture.load(dict(self.body.state_dict()))
            if state is not None:
                self.body.load_state_dict(state, strict=True)
        self.body.requires_grad_(True)
        name = descriptor.architecture.id
        problem = _unsuitable(spandrel, descriptor)
        if problem:
            raise (InputError if state is None else CheckpointError)(f'{source if state else name} {problem}')
        self.notice = (f"{name}: run by spandrel (MIT); the architecture keeps its authors' licence, see "
                       f'{_SOURCE}/{name}, and the weights that of whoever published them')
        self.architecture, self.weights_licence = name, _LICENCES.get(name, 'see its authors')
        needs = descriptor.size_requirements
        divisor = needs.multiple_of
        if name == 'NAFNet':  # spandrel lets it pad by itself; declared, the padding is the preprocessor's
            divisor = self.body.padder_size
        self.size_divisor, self.min_size, self.square = divisor, max(needs.minimum, divisor), needs.square
        self.tiling = 'never' if descriptor.tiling.name == 'INTERNAL' else 'approximate'
        self._call = None if name in _SHIFTED else _Call(name, descriptor._call_fn)
        if name in _SHIFTED:
            self.input_range = self.output_range = (-1.0, 1.0)

    def description(self) -> dict[str, Any]:
        """Return the config that builds this network without the file: what a checkpoint says of it."""
        plain = {key: value for key, value in self.body.hyperparameters.items() if _is_plain(value)}
        return dict(type='SpandrelNetwork', architecture=self.architecture, hyperparameters=plain)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if self.square and height != width:
            side = max(height, width)
            x = F.pad(x, (0, side - width, 0, side - height), mode='replicate')
        output = self._call(self.body, x) if self._call else self.body(x)
        return output[..., :height, :width]


class _Call:
    """How spandrel calls the networks of an architecture: with ranges, or a map of noise, of their own.

    A function within a function, which cannot be pickled; spandrel is asked again where it is missing.
    """

    def __init__(self, architecture, function=None):
        self.architecture, self.function = architecture, function

    def __call__(self, body, x):
        if self.function is None:
            support = _import_spandrel().MAIN_REGISTRY[self.architecture]
            self.function = support.architecture.load(dict(body.state_dict()))._call_fn
        return self.function(body, x)

    def __reduce__(self):
        return _Call, (self.architecture,)

    def __deepcopy__(self, memo):
        return self


def _import_spandrel():
    try:
        import spandrel
    except ImportError as error:
        raise MissingDependencyError('SpandrelNetwork needs spandrel, which is not installed: '
                                     "pip install 'restorekit[foreign]'") from error
    return spandrel


def _from_weights(spandrel, state, source):
    try:
        return spandrel.ModelLoader(device='cpu').load_from_state_dict(dict(state))
    except spandrel.UnsupportedModelError as error:
        raise CheckpointError(f'{source}: spandrel {spandrel.__version__} knows no architecture with these '
                              f'{len(state)} tensors; name its architecture and hyperparameters, or use a network of '
                              'restorekit') from error
    except (KeyError, ValueError, RuntimeError, AssertionError, TypeError, IndexError) as error:
        # what its constructors say to weights that only look like theirs
        raise CheckpointError(f'{source}: spandrel {spandrel.__version__} cannot build the network of these weights '
                              f'({type(error).__name__}: {str(error)[:300]})') from error


def _unsuitable(spandrel, descriptor):
    """Return why a network does not restore RGB images at their own size, None if it does."""
    name = f'is a {descriptor.architecture.id}'
    if not isinstance(descriptor, spandrel.ImageModelDescriptor):
        return f'{name}, which needs more than an image (a mask, for example)'
    if descriptor.scale != 1:
        return f'{name} of scale {descriptor.scale}, which enlarges images; only networks of scale 1 restore them'
    if (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        return (f'{name} with {descriptor.input_channels} channels in and {descriptor.output_channels} out; only '
                'networks with 3 channels (RGB) can be used')
    return None


def _build(spandrel, architecture, hyperparameters):
    known = [support.architecture.id for support in spandrel.MAIN_REGISTRY.architectures()]
    if architecture not in known:
        raise InputError(f'spandrel has no architecture {architecture!r}; '
                         + did_you_mean(architecture, known, f'it has {", ".join(sorted(known))}'))
    module = importlib.import_module(f'spandrel.architectures.{architecture}')
    network = next(getattr(module, name) for name in module.__all__ if not name.endswith('Arch'))
    try:
        with _RatesOnCpu():
            return network(**hyperparameters)
    except TypeError as error:
        raise InputError(f'{architecture} of spandrel does not take these hyperparameters: {error}') from error


class _RatesOnCpu(TorchFunctionMode):
    """Keep ``torch.linspace`` on the CPU: constructors read rates from it, also where nothing else has data (meta)."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {}, **({'device': 'cpu'} if getattr(func, '__name__', '') == 'linspace' else {}))
        return func(*args, **kwargs)


def _is_plain(value):
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)

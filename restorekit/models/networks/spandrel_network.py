"""Networks of other people, as spandrel knows them."""

from __future__ import annotations

import copy

import torch

from restorekit.checkpoint import CheckpointError, load_checkpoint_file, network_state
from restorekit.messages import InputError, MissingDependencyError
from restorekit.registry import MODELS

from .base import RestorationNetwork

_SOURCE = 'https://github.com/chaiNNer-org/spandrel/tree/main/libs/spandrel/spandrel/architectures'


@MODELS.register_module()
class SpandrelNetwork(RestorationNetwork):
    """A network whose architecture spandrel detects from the names and shapes of its weights.

    Only networks that restore: of scale 1, with three channels in and out, in [0, 1]. Sizes and tiling are those that
    spandrel states. It can be trained further, by a plain :class:`~restorekit.models.Restorer`.

    Args:
        pretrained (str | Path, optional): File of the weights; read as data, without running code from it.
        state (dict[str, Tensor], optional): The weights themselves instead.
        init_cfg (dict, optional): Not used: the weights are those of the file.

    Attributes:
        architecture (str): What spandrel calls it, for example 'SCUNet'.
        notice (str): Whose it is; printed when it is used.

    Raises:
        MissingDependencyError: If spandrel is not installed.
        CheckpointError: If spandrel does not know such weights, or the network does not restore RGB images of the same
            size; the message names scale or channels.

    Example:
        >>> network = SpandrelNetwork('scunet_color_real_psnr.pth')  # doctest: +SKIP
    """

    def __init__(self, pretrained=None, state: dict[str, torch.Tensor] | None = None, init_cfg: dict | None = None):
        super().__init__(None)
        if (pretrained is None) == (state is None):
            raise InputError('SpandrelNetwork needs the weights of someone else: give pretrained=FILE')
        source = 'the state dict' if pretrained is None else str(pretrained)
        if state is None:
            state = network_state(load_checkpoint_file(pretrained), source)
        descriptor = _describe(state, source)
        self.architecture = descriptor.architecture.id
        self.model = descriptor.model
        self._call = descriptor._call_fn
        sizes = descriptor.size_requirements
        self.size_divisor, self.min_size = sizes.multiple_of, max(sizes.minimum, 1)
        self.tiling = 'approximate' if descriptor.tiling.name == 'SUPPORTED' else 'never'
        self.notice = (f'{self.architecture}: run by spandrel (MIT); the architecture keeps its authors\' licence, see '
                       f'{_SOURCE}/{self.architecture}, and the weights that of whoever published them')

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the restored image (N, 3, H, W)."""
        return self.model(x) if self.training else self._call(self.model, x)

    def __getstate__(self):
        state = self.__dict__.copy()
        state.pop('_call')  # a function of spandrel's, which cannot be pickled
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        self._call = _describe(self.model.state_dict(), 'the pickled network')._call_fn

    def __deepcopy__(self, memo):
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        made.__dict__.update({key: value if key == '_call' else copy.deepcopy(value, memo)
                              for key, value in self.__dict__.items()})
        return made


def _describe(state, source):
    try:
        import spandrel
    except ImportError as error:
        raise MissingDependencyError('weights of other tools need spandrel: pip install "restorekit[foreign]"'
                                     ) from error
    try:
        found = spandrel.ModelLoader(device='cpu').load_from_state_dict(dict(state))
    except spandrel.UnsupportedModelError as error:
        raise CheckpointError(f'{source}: spandrel {spandrel.__version__} knows no architecture with these '
                              f'{len(state)} tensors') from error
    except (KeyError, ValueError, RuntimeError, AssertionError, TypeError, IndexError) as error:
        # what its constructors say to weights that only look like theirs
        raise CheckpointError(f'{source}: spandrel {spandrel.__version__} cannot build the network of these weights '
                              f'({type(error).__name__}: {str(error)[:300]})') from error
    name = found.architecture.id
    if not isinstance(found, spandrel.ImageModelDescriptor):
        raise CheckpointError(f'{source} is a {name}, which needs more than an image (a mask, for example); '
                              'only networks that turn an image into an image can be used')
    if found.scale != 1:
        raise CheckpointError(f'{source} is a {name} of scale {found.scale}, which enlarges images; only networks of '
                              'scale 1 restore them')
    if (found.input_channels, found.output_channels) != (3, 3):
        raise CheckpointError(f'{source} is a {name} with {found.input_channels} channels in and '
                              f'{found.output_channels} out; only networks with 3 channels (RGB) can be used')
    if found.size_requirements.square:
        raise CheckpointError(f'{source} is a {name} for square images only, which photos are not')
    return found

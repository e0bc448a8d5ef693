"""Res2Net v1b: residual blocks whose 3x3 convolution is split into a hierarchy of small ones."""

import torch
import torch.nn.functional as F
from torch import nn

from restorekit.checkpoint.state_dict import state_dict_problems
from restorekit.files.download import download, is_url
from restorekit.messages import InputError, refuse_unused
from restorekit.models.module import Module
from restorekit.registry import MODELS

STAGE_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


class Bottle2neck(nn.Module):
    """One Res2Net block: 1x1 conv, ``scale`` groups of 3x3 convs each fed by the one before, 1x1 conv, shortcut.

    With ``x_i`` the i-th group and ``K_i`` its convolution, ``y_i = K_i(x_i + y_(i-1))`` for all groups but the last,
    which is passed on. The first block of a stage adds no ``y_(i-1)``, average-pools the last group and has a
    shortcut of average pooling and a 1x1 conv.
    """

    expansion = 4

    def __init__(self, in_channels, planes, width, scale, stride, first):
        super().__init__()
        out_channels = planes * self.expansion
        self.scale, self.first = scale, first
        self.conv1 = nn.Conv2d(in_channels, width * scale, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width * scale)
        groups = max(1, scale - 1)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, stride, 1, bias=False) for _ in range(groups))
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(groups))
        self.conv3 = nn.Conv2d(width * scale, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.pool = nn.AvgPool2d(3, stride, 1) if first and scale > 1 else nn.Identity()
        self.downsample = None
        if first:
            pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
            self.downsample = nn.Sequential(pool, nn.Conv2d(in_channels, out_channels, 1, bias=False),
                                            nn.BatchNorm2d(out_channels))

    def forward(self, x):
        groups = F.relu(self.bn1(self.conv1(x)), inplace=True).chunk(self.scale, dim=1)
        outputs = []
        for i, (conv, bn) in enumerate(zip(self.convs, self.bns, strict=True)):
            group = groups[i] if i == 0 or self.first else groups[i] + outputs[-1]
            outputs.append(F.relu(bn(conv(group)), inplace=True))
        if self.scale > 1:
            outputs.append(self.pool(groups[-1]))
        out = self.bn3(self.conv3(torch.cat(outputs, dim=1)))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)), inplace=True)


@MODELS.register_module()
class Res2Net(Module):
    """Res2Net v1b ("deep stem, average down") as an encoder.

    Gao et al., Res2Net: A New Multi-scale Backbone Architecture, TPAMI 2021. Parameters are named as in the authors'
    ``res2net101_v1b_26w_4s`` and in timm's ``res2net101d``, so either state dict loads. Only the stages up to the
    deepest asked for are built. Input (N, 3, H, W); output a tuple of (N, C_i, H / s_i, W / s_i), shallow to deep.

    Args:
        depth (int, optional): 50 or 101, which gives the number of blocks of each stage; default: 101. Not with
            ``stage_blocks``.
        base_width (int): Channels of a group in the first stage, for ``base_channels=64``.
        scale (int): Number of groups of a block.
        out_indices (Sequence[int]): Stages to return, a subset of 0..3 (strides 4, 8, 16, 32).
        stage_blocks (Sequence[int], optional): Blocks of each stage, for nets that are not published.
        base_channels (int): Channels after the stem; all widths scale with it.
        stem_channels (int, optional): Channels inside the stem; half of ``base_channels`` by default.
        pretrained (str, optional): Path, or URL with its hash (``https://host/net.pth#sha256=HEX``, see
            :func:`~restorekit.files.download.download`), of a state dict to start from. ``init_weights`` reads it,
            which MMEngine's runner calls before training, so inference never needs it.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Attributes:
        channels (tuple[int]): Channels of each returned map.
        strides (tuple[int]): Stride of each returned map.

    Raises:
        ValueError: At construction, if a number is out of range; in ``init_weights``, if the state dict does not fit.

    Example:
        >>> import torch
        >>> encoder = Res2Net(stage_blocks=(1, 1, 1), base_channels=16)
        >>> [tuple(f.shape[1:]) for f in encoder(torch.rand(1, 3, 64, 64))]
        [(64, 16, 16), (128, 8, 8), (256, 4, 4)]
    """

    def __init__(self, depth=None, base_width=26, scale=4, out_indices=(0, 1, 2), stage_blocks=None, base_channels=64,
                 stem_channels=None, pretrained=None, init_cfg=None):
        super().__init__(init_cfg)
        self.out_indices = _check_out_indices(out_indices)
        stage_blocks = _check_stage_blocks(depth, stage_blocks, self.out_indices)
        stem_channels = base_channels // 2 if stem_channels is None else stem_channels
        for name, value in (('base_width', base_width), ('scale', scale), ('base_channels', base_channels),
                            ('stem_channels', stem_channels)):
            if not isinstance(value, int) or value < 1:
                raise InputError(f'Res2Net: {name} must be a positive integer, but got {value!r}')
        self.pretrained = pretrained
        if pretrained:  # every weight comes from there
            refuse_unused(self, dict(init_cfg=init_cfg), 'weights to be drawn', f'pretrained={pretrained!r}')

        self.conv1 = nn.Sequential(
            nn.Conv2d(3, stem_channels, 3, 2, 1, bias=False), nn.BatchNorm2d(stem_channels), nn.ReLU(inplace=True),
            nn.Conv2d(stem_channels, stem_channels, 3, 1, 1, bias=False), nn.BatchNorm2d(stem_channels),
            nn.ReLU(inplace=True), nn.Conv2d(stem_channels, base_channels, 3, 1, 1, bias=False))
        self.bn1 = nn.BatchNorm2d(base_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = base_channels
        for stage in range(self.out_indices[-1] + 1):
            planes = base_channels * 2**stage
            width = planes * base_width // 64
            if width < 1:
                raise InputError(f'Res2Net: base_channels={base_channels} with base_width={base_width} leaves a group '
                                 f'of stage {stage} no channel; base_channels * base_width must be at least 64')
            blocks = []
            for i in range(stage_blocks[stage]):
                stride = 2 if i == 0 and stage > 0 else 1
                blocks.append(Bottle2neck(channels, planes, width, scale, stride, first=i == 0))
                channels = planes * Bottle2neck.expansion
            setattr(self, f'layer{stage + 1}', nn.Sequential(*blocks))
        self.channels = tuple(base_channels * 2**i * Bottle2neck.expansion for i in self.out_indices)
        self.strides = tuple(4 * 2**i for i in self.out_indices)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        features = []
        for stage in range(self.out_indices[-1] + 1):
            x = getattr(self, f'layer{stage + 1}')(x)
            if stage in self.out_indices:
                features.append(x)
        return tuple(features)

    def init_weights(self):
        """Initialise as ``init_cfg`` says, then load ``pretrained``."""
        super().init_weights()
        if self.pretrained is not None:
            self.load_pretrained(self.pretrained)

    def load_pretrained(self, source):
        """Load a published state dict from a path or URL, strictly.

        Keys of stages that were not built and of the classifier are ignored; ``num_batches_tracked`` may be missing;
        anything else missing, unexpected or of the wrong shape is a ValueError.
        """
        from restorekit.checkpoint import load_checkpoint_file, network_state
        content = load_checkpoint_file(download(source) if is_url(source) else source, map_location='cpu')
        state = network_state(content, source)
        built = self.out_indices[-1] + 1
        foreign = ('fc.', *(f'layer{stage + 1}.' for stage in range(built, 4)))
        expected = self.state_dict()
        counters = {key: value for key, value in expected.items() if key.endswith('.num_batches_tracked')}
        state = counters | {key: value for key, value in state.items() if not key.startswith(foreign)}
        problems = state_dict_problems(state, expected, limit=8)
        if problems:
            raise InputError(f'{source} does not fit this Res2Net; expected is the state dict of the same depth and '
                             f'widths under its published names.\n  ' + '\n  '.join(problems))
        self.load_state_dict(state, strict=True)


def _check_out_indices(out_indices):
    indices = tuple(out_indices)
    if not indices or any(i not in range(4) for i in indices) or list(indices) != sorted(set(indices)):
        raise InputError(f'Res2Net: out_indices must be ascending and among 0, 1, 2, 3, but got {indices}')
    return indices


def _check_stage_blocks(depth, stage_blocks, out_indices):
    if stage_blocks is not None and depth is not None:
        raise InputError(f'Res2Net takes depth or stage_blocks, which both give the number of blocks, but got '
                         f'depth={depth} and stage_blocks={tuple(stage_blocks)}; a config that inherits one of them '
                         'sets it to None')
    if stage_blocks is None:
        depth = 101 if depth is None else depth
        if depth not in STAGE_BLOCKS:
            raise InputError(f'Res2Net: depth must be one of {sorted(STAGE_BLOCKS)}, but got {depth!r}; '
                             'for another net give stage_blocks, for example stage_blocks=(1, 1, 1)')
        return STAGE_BLOCKS[depth]
    blocks = tuple(stage_blocks)
    if any(not isinstance(n, int) or n < 1 for n in blocks) or not out_indices[-1] < len(blocks) <= 4:
        raise InputError(f'Res2Net: stage_blocks={blocks} must give a positive number of blocks for each stage up to '
                         f'the deepest of out_indices={out_indices}, at least {out_indices[-1] + 1} and at most 4')
    return blocks

"""Every feature-extracting backbone of timm as an encoder."""


from mmengine.model import BaseModule

from restorekit.messages import InputError, MissingDependencyError, nearest
from restorekit.registry import MODELS


@MODELS.register_module()
class TimmEncoder(BaseModule):
    """A backbone of timm (Wightman, PyTorch Image Models) that returns its feature maps.

    Input (N, 3, H, W); output a tuple of (N, C_i, H / s_i, W / s_i), shallow to deep. The image reaches the backbone
    in the range that the decoder declares; timm's own mean and standard deviation are not applied.

    Args:
        name (str): A model name of timm, for example ``'resnet18'``.
        pretrained (bool): Start from timm's weights. They are fetched by ``init_weights``, which MMEngine's runner
            calls before training, so inference never needs them.
        out_indices (Sequence[int], optional): Feature levels to return, ascending; timm's default is all of them.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Attributes:
        channels (tuple[int]): Channels of each returned map.
        strides (tuple[int]): Stride of each returned map.

    Raises:
        ImportError: If timm is not installed.
        ValueError: If timm has no such model, or the model has no such feature levels.

    Example:
        >>> encoder = TimmEncoder('resnet18', out_indices=(1, 2, 3))
        >>> encoder.channels, encoder.strides
        ((64, 128, 256), (4, 8, 16))
    """

    def __init__(self, name, pretrained=False, out_indices=None, init_cfg=None):
        super().__init__(init_cfg)
        self.name, self.pretrained = name, pretrained
        self.out_indices = None if out_indices is None else tuple(out_indices)
        timm = _import_timm()
        if not timm.is_model(name):
            near = nearest(name, timm.list_models(), n=3)
            raise InputError(f'timm {timm.__version__} has no model {name!r}; '
                             + (f'did you mean {" or ".join(map(repr, near))}?' if near else 'see timm.list_models()'))
        try:
            self.backbone = self._create(pretrained=False)
        except (AssertionError, IndexError) as error:
            raise InputError(f'{name} of timm has no feature levels out_indices={self.out_indices}') from error
        self.channels = tuple(self.backbone.feature_info.channels())
        self.strides = tuple(self.backbone.feature_info.reduction())
        self._channels_last = getattr(self.backbone, 'output_fmt', 'NCHW') == 'NHWC'

    def _create(self, pretrained):
        levels = {} if self.out_indices is None else {'out_indices': self.out_indices}
        return _import_timm().create_model(self.name, pretrained=pretrained, features_only=True, **levels)

    def init_weights(self):
        """Initialise as ``init_cfg`` says, then load timm's weights if ``pretrained``."""
        super().init_weights()
        if self.pretrained:
            self.backbone.load_state_dict(self._create(pretrained=True).state_dict(), strict=True)

    def forward(self, x):
        features = self.backbone(x)
        return tuple(f.permute(0, 3, 1, 2) for f in features) if self._channels_last else tuple(features)


def _import_timm():
    try:
        import timm
    except ImportError as error:
        raise MissingDependencyError('TimmEncoder needs timm, which is not installed: pip install timm') from error
    return timm

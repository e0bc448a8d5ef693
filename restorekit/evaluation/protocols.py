"""Named protocols: every choice that decides what a PSNR or SSIM number means, and which numbers may be compared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from restorekit.functional.image_quality import check_ssim_options, unit_float
from restorekit.messages import InputError, refuse_unused, unknown_name_message

from .facts import metric_class

COLOURS = ('rgb', 'y-bt601')
CROP_PLACES = ('top-left', 'centre')


@dataclass(frozen=True)
class Protocol:
    """How a prediction and its ground truth are made comparable, and the window SSIM looks through.

    Both images are clamped to [0, 1]; then what follows is done to both in this order, and the metric is computed.

    Args:
        name (str): Shown in the key of every number, as in ``PSNR@rgb``.
        quantize (bool): Round to 8 bits per channel.
        crop_border (int): Pixels cut from each side.
        crop_multiple (int): Keep a part whose height and width are multiples of this.
        crop_place (str): Where that part lies, with ``crop_multiple``: 'top-left', or 'centre', which cuts half of what
            is left over from each side; of an odd number one pixel from the start and the others from the end, as CID's
            program does.
        resize (tuple[int, int] | None): (height, width) to resize to, bilinear with antialiasing as Pillow does.
        colour (str): 'rgb', or 'y-bt601': luma of ITU-R BT.601 in limited range, as MATLAB's ``rgb2ycbcr``:
            Y = (65.481 R + 128.553 G + 24.966 B + 16) / 255 for R, G, B in [0, 1].
        round_luma (bool): With ``quantize``, round luma to 8 bits too, as MATLAB does for uint8 images.
        ssim_pool (int | None): For SSIM alone, average over blocks first: r = max(1, round(min(H, W) / ssim_pool)),
            to (int(H / r), int(W / r)).
        ssim_window (int): Side of SSIM's window in pixels, odd.
        ssim_sigma (float | None): Standard deviation of SSIM's Gaussian window in pixels; None: a uniform window.
        ssim_padding (str): 'valid' or 'zero'.
        ssim_sample_covariance (bool): Divide SSIM's variances and covariance by n - 1 instead of n.

    Raises:
        ValueError: If a choice is not among the allowed.

    Example:
        >>> import torch
        >>> pred, gt = get_protocol('rgb-uint8').prepare(torch.full((3, 2, 2), 0.501), torch.zeros(3, 2, 2))
        >>> round(pred[0, 0, 0, 0].item() * 255)
        128
    """

    name: str
    quantize: bool = False
    crop_border: int = 0
    crop_multiple: int = 1
    crop_place: str = 'top-left'
    resize: tuple[int, int] | None = None
    colour: str = 'rgb'
    round_luma: bool = True
    ssim_pool: int | None = None
    ssim_window: int = 11
    ssim_sigma: float | None = 1.5
    ssim_padding: str = 'valid'
    ssim_sample_covariance: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable() or {'/', '@'} & {*self.name}:
            raise InputError(f'the name of a protocol becomes part of keys such as PSNR@rgb, so it is a text without / '
                             f'and @, but got {self.name!r}')
        for name, known in (('colour', COLOURS), ('crop_place', CROP_PLACES)):
            if getattr(self, name) not in known:
                raise InputError(f'protocol {self.name!r}: {name} must be one of {", ".join(map(repr, known))}, '
                                 f'but got {getattr(self, name)!r}')
        if self.resize is not None:
            # lists come from configs and reports
            object.__setattr__(self, 'resize', tuple(self.resize))
            if len(self.resize) != 2 or min(self.resize) < 1:
                raise InputError(f'protocol {self.name!r}: resize is (height, width), but got {self.resize}')
        for name, least in (('crop_border', 0), ('crop_multiple', 1), ('ssim_pool', 1)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                what = 'must not be negative' if least == 0 else 'must be at least 1'
                raise InputError(f'protocol {self.name!r}: {name} is a whole number and {what}, but got {value!r}')
        check_ssim_options(self.ssim_window, self.ssim_sigma, self.ssim_padding)
        if self.crop_multiple == 1:
            refuse_unused(self, dict(crop_place=self.crop_place), 'crop_multiple above 1', 'crop_multiple=1')
        if self.colour == 'rgb' or not self.quantize:
            refuse_unused(self, dict(round_luma=self.round_luma), "colour='y-bt601' and quantize=True",
                          f'colour={self.colour!r} and quantize={self.quantize}')

    @property
    def settings(self) -> dict[str, Any]:
        """Every choice but the name, as plain data: what a report stores."""
        settings = dataclasses.asdict(self)
        del settings['name']
        return settings | {'resize': self.resize and list(self.resize)}

    @property
    def fingerprint(self) -> str:
        """Eight characters that tell settings apart, whatever the name.

        Choices at their default do not count, so that a choice added later changes no fingerprint.
        """
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        chosen = {choice: value for choice, value in self.settings.items() if value != defaults[choice]}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def ssim_options(self) -> dict[str, Any]:
        """What SSIM's window is, as arguments of ``restorekit.functional.image_quality.ssim``."""
        return {'window': self.ssim_window, 'sigma': self.ssim_sigma, 'padding': self.ssim_padding,
                'sample_covariance': self.ssim_sample_covariance}

    def prepare(self, pred: torch.Tensor, gt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return prediction and ground truth as this protocol compares them.

        Args:
            pred (Tensor): (3, H, W) or (N, 3, H, W) RGB, float in [0, 1] (values outside are clamped) or uint8.
            gt (Tensor): The same shape, uint8 or float in [0, 1]; moved to the prediction's device.

        Returns:
            tuple[Tensor, Tensor]: float32 (N, C, h, w) in [0, 1], C = 3 for 'rgb', 1 for 'y-bt601'.

        Raises:
            ValueError: If the shapes differ, or cropping leaves nothing.
        """
        if pred.shape != gt.shape or pred.ndim not in (3, 4) or pred.shape[-3] != 3:
            raise InputError(f'protocol {self.name!r} compares two RGB images (3, H, W) of the same size, but got a '
                             f'prediction {tuple(pred.shape)} and a ground truth {tuple(gt.shape)}')
        return self._convert(pred), self._convert(gt.to(pred.device))

    def pool(self, image: torch.Tensor) -> torch.Tensor:
        """Return (N, C, h, w) averaged over blocks as SSIM is to see it; unchanged without ``ssim_pool``."""
        ratio = 1 if self.ssim_pool is None else max(1, round(min(image.shape[-2:]) / self.ssim_pool))
        return image if ratio == 1 else F.adaptive_avg_pool2d(image, [int(side / ratio) for side in image.shape[-2:]])

    def _convert(self, image: torch.Tensor) -> torch.Tensor:
        image = unit_float(image)
        image = image[None] if image.ndim == 3 else image
        if self.quantize:
            image = (image * 255).round() / 255
        image = self._crop(image)
        if self.resize is not None and image.shape[-2:] != self.resize:
            image = F.interpolate(image, self.resize, mode='bilinear', antialias=True).clamp(0, 1)
        if self.colour == 'y-bt601':
            factors = image.new_tensor([65.481, 128.553, 24.966]).view(3, 1, 1)
            luma = (image * factors).sum(dim=1, keepdim=True) + 16
            image = (luma.round() if self.quantize and self.round_luma else luma) / 255
        return image

    def _crop(self, image: torch.Tensor) -> torch.Tensor:
        border, multiple = self.crop_border, self.crop_multiple
        height, width = image.shape[-2:]
        kept = [(side - 2 * border) // multiple * multiple for side in (height, width)]
        if min(kept) <= 0:
            cut = f'cuts {border} pixels from each side' + (
                f' and keeps multiples of {multiple}' if multiple > 1 else '')
            raise InputError(f'protocol {self.name!r} {cut}, which leaves nothing of an image of {height}x{width}')
        start = [border, border]
        if self.crop_place == 'centre':
            spare = [side - 2 * border - inner for side, inner in zip((height, width), kept, strict=True)]
            start = [border + (1 if left % 2 else left // 2) for left in spare]
        return image[..., start[0]:start[0] + kept[0], start[1]:start[1] + kept[1]]


#: How a number was measured, as a report has it.
Settings = Protocol | dict[str, Any] | None
#: Every choice of a protocol, and the ones that decide what the images are before a metric is computed.
CHOICES = tuple(field.name for field in dataclasses.fields(Protocol) if field.name != 'name')
IMAGE_CHOICES = tuple(choice for choice in CHOICES if not choice.startswith('ssim_'))

UNIFORM = {'ssim_window': 7, 'ssim_sigma': None, 'ssim_sample_covariance': True}

PROTOCOLS = {protocol.name: protocol for protocol in (
    # full resolution RGB, the float output clamped, before rounding: what most recent dehazing code reports
    Protocol('rgb'),
    # the same on the 8-bit image that is written to disk, as BasicSR's RGB numbers
    Protocol('rgb-uint8', quantize=True),
    # luma of the 8-bit image, as MATLAB scripts of super-resolution and deraining report
    Protocol('y-matlab', colour='y-bt601', quantize=True),
    # BasicSR, MMagic: luma of the 8-bit image, not rounded again
    Protocol('y-basicsr', colour='y-bt601', quantize=True, round_luma=False),
    # FFA-Net, AECR-Net, DEA-Net: SSIM with zeros around the image
    Protocol('ffa', ssim_padding='zero'),
    # DehazeFormer, gUNet, MixDehazeNet, ConvIR: SSIM of images averaged to about 256 pixels
    Protocol('dehazeformer', ssim_pool=256),
    # SFSNiD: both images resized to 256 x 256 by torchvision's Resize, SSIM with zeros around
    Protocol('size-256', resize=(256, 256), ssim_padding='zero'),
    # Dehamer: the top left part in multiples of 16, SSIM by scikit-image's defaults
    Protocol('crop16', crop_multiple=16, **UNIFORM),
    # CID: the central part in multiples of 16
    Protocol('crop16-centre', crop_multiple=16, crop_place='centre', **UNIFORM),
    # GridDehazeNet, DW-GAN: full resolution, SSIM by scikit-image's defaults
    Protocol('skimage7', **UNIFORM),
)}


def get_protocol(protocol: str | dict[str, Any] | Protocol) -> Protocol:
    """Return a protocol by name, or your own from its choices (a Protocol is returned as it is).

    Args:
        protocol (str | dict | Protocol): A name in ``PROTOCOLS``, or arguments of :class:`Protocol` with a new name.

    Raises:
        ValueError: If there is none of that name (the message gives the nearest), a choice is unknown, or a new
            protocol takes the name of one that differs.

    Example:
        >>> get_protocol('y-matlab').colour
        'y-bt601'
        >>> get_protocol(dict(name='mine', crop_border=4)).crop_border
        4
    """
    if isinstance(protocol, Protocol):
        return protocol
    if isinstance(protocol, dict):
        return _own_protocol(dict(protocol))
    if protocol not in PROTOCOLS:
        raise InputError(unknown_name_message(protocol, PROTOCOLS,
                                              'list of protocols (restorekit.evaluation.PROTOCOLS)'))
    return PROTOCOLS[protocol]


def _own_protocol(choices: dict[str, Any]) -> Protocol:
    known = [field.name for field in dataclasses.fields(Protocol)]
    for choice in choices:
        if choice not in known:
            raise InputError(unknown_name_message(choice, known, 'list of what a protocol decides'))
    if 'name' not in choices:
        raise InputError(f'a protocol needs a name, which becomes part of the keys of its numbers, but got {choices}. '
                         "Write dict(name='mine', ...)")
    own = Protocol(**choices)
    if own.name in PROTOCOLS and own != PROTOCOLS[own.name]:
        differences = ', '.join(_differences(own.settings, PROTOCOLS[own.name].settings, CHOICES))
        raise InputError(f'protocol {own.name!r} exists with other choices ({differences}); give yours another name')
    return own


def check_comparable(label_a: str, label_b: str, protocol_a: Settings = None, protocol_b: Settings = None,
                     depends_on: Collection[str] | None = None) -> None:
    """Raise an error unless two numbers are of one quantity, measured in one way.

    Args:
        label_a (str): A metric's label, as 'PSNR@rgb' or 'NIQE@pyiqa'.
        label_b (str): The other's.
        protocol_a (Protocol | dict | None): How the first was measured, as a dict ``Protocol.settings``; None: what
            ``PROTOCOLS`` has under the name.
        protocol_b (Protocol | dict | None): How the second was measured.
        depends_on (Sequence[str] | None): The choices that the quantity depends on; None: what the registered metric of
            that quantity says, or all of them where none is registered.

    Raises:
        InputError: If they are not comparable; the message names both protocols and each choice that differs.

    Example:
        >>> check_comparable('SSIM@rgb', 'SSIM@ffa')
        Traceback (most recent call last):
        ...
        restorekit.messages.InputError: SSIM@rgb and SSIM@ffa cannot be compared: ssim_padding is 'valid' in the one, \
'zero' in the other. Measure both under one protocol.
    """
    (quantity_a, _, name_a), (quantity_b, _, name_b) = label_a.partition('@'), label_b.partition('@')
    if quantity_a != quantity_b:
        raise InputError(f'{label_a} and {label_b} cannot be compared: {quantity_a} and {quantity_b} are different '
                         'quantities.')
    differing = differing_settings(label_a, label_b, protocol_a, protocol_b, depends_on)
    if name_a == name_b and not differing:
        return
    if differing is None:
        why, what = f'they were measured by {name_a} and by {name_b}', 'in one way'
    else:
        why, what = ', '.join(differing) or 'they are alike, but for the name', 'under one protocol'
    raise InputError(f'{label_a} and {label_b} cannot be compared: {why}. Measure both {what}.')


def differing_settings(label_a: str, label_b: str, protocol_a: Settings = None, protocol_b: Settings = None,
                       depends_on: Collection[str] | None = None) -> list[str] | None:
    """Return the choices that differ and that the quantity of ``label_a`` depends on, each as text.

    Arguments as in :func:`check_comparable`; None if one of the protocols is not known.

    Example:
        >>> differing_settings('PSNR@ffa', 'PSNR@crop16')
        ['crop_multiple is 1 in the one, 16 in the other']
    """
    a, b = (_recorded(label.partition('@')[2], protocol)
            for label, protocol in ((label_a, protocol_a), (label_b, protocol_b)))
    if a is None or b is None:
        return None
    if depends_on is None:
        depends_on = getattr(metric_class(label_a), 'depends_on', {**a, **b})
    return _differences(a, b, depends_on)


def _recorded(name: str, protocol: Settings) -> dict[str, Any] | None:
    """Return the settings of a protocol, perhaps from a report of another version, or None for no protocol."""
    if isinstance(protocol, dict):
        settings = Protocol(name).settings | protocol
        return {choice: list(x) if isinstance(x, tuple) else x for choice, x in settings.items()}
    protocol = protocol or PROTOCOLS.get(name)
    return protocol and protocol.settings


def _differences(a: dict[str, Any], b: dict[str, Any], depends_on: Collection[str]) -> list[str]:
    """Say which choices differ between two settings, a text for each; what this version does not know counts too."""
    pairs = ((choice, a.get(choice), b.get(choice)) for choice in {**a, **b}
             if choice in depends_on or choice not in CHOICES)
    return [f'{choice} is {x!r} in the one, {y!r} in the other' for choice, x, y in pairs if x != y]

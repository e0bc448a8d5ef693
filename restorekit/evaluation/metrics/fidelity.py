"""Metrics against a ground truth, by protocol: PSNR, SSIM, MS-SSIM, MAE and CIEDE2000."""

from __future__ import annotations

from typing import Any

import torch

from restorekit.evaluation.protocols import CHOICES, IMAGE_CHOICES, Protocol, get_protocol
from restorekit.functional.colour import chroma
from restorekit.functional.colour_difference import ciede2000
from restorekit.functional.image_quality import mae, ms_ssim, psnr, ssim
from restorekit.messages import InputError
from restorekit.registry import METRICS

from .base import ImageMetric

# equal images have an infinite PSNR; one of them must not make the mean of a set infinite
MAX_PSNR = 100.0


class FidelityMetric(ImageMetric):
    """Mean over images of a number that compares the prediction with the ground truth under a protocol.

    A subclass sets ``quantity`` and defines ``measure(pred, gt)`` for images as the protocol prepares them: (N, C, h,
    w) in [0, 1] to (N,). One that does not look through SSIM's window says so by ``depends_on = IMAGE_CHOICES``. Keys,
    other arguments and errors as in :class:`ImageMetric`.

    Args:
        protocol (str | Protocol | dict): Name in ``restorekit.evaluation.PROTOCOLS``, or your own choices, as
            ``dict(name='mine', crop_border=4)``.

    Raises:
        ValueError: For an unknown protocol.
    """

    depends_on = CHOICES

    def __init__(self, protocol: str | dict[str, Any] | Protocol = 'rgb', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.protocol = get_protocol(protocol)

    @property
    def source(self) -> str:
        return self.protocol.name

    def prepare(self, pred: torch.Tensor, gt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.protocol.prepare(pred, gt)


@METRICS.register_module()
class PSNR(FidelityMetric):
    """Peak signal-to-noise ratio in dB, the mean of per-image values; larger is better.

    An image's value is capped at 100 dB, so that one perfect image does not make the mean infinite. Keys, arguments
    and errors as in :class:`FidelityMetric`.

    Example:
        >>> import torch
        >>> metric = PSNR('rgb', baseline=False)
        >>> sample = dict(pred=torch.full((3, 8, 8), 0.1), gt=torch.zeros(3, 8, 8, dtype=torch.uint8), domain='haze')
        >>> metric.process(None, [sample])
        >>> {key: round(value, 3) for key, value in metric.evaluate(1).items()}
        {'haze/PSNR@rgb': 20.0}
    """

    quantity = 'PSNR'
    unit = 'dB'
    depends_on = IMAGE_CHOICES

    def measure(self, pred: torch.Tensor, gt: torch.Tensor) -> torch.Tensor:
        return psnr(pred, gt).clamp(max=MAX_PSNR)


@METRICS.register_module()
class SSIM(FidelityMetric):
    """Structural similarity (Wang et al., 2004), the mean of per-image values; larger is better, 1 is equal.

    The window, its padding and whether the images are averaged to a smaller size first belong to the protocol. Keys,
    arguments and errors as in :class:`FidelityMetric`.

    Example:
        >>> import torch
        >>> metric = SSIM(baseline=False)
        >>> gt = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
        >>> metric.process(None, [dict(pred=gt / 255, gt=gt)])
        >>> metric.evaluate(1)
        {'SSIM@rgb': 1.0}
    """

    quantity = 'SSIM'

    def measure(self, pred: torch.Tensor, gt: torch.Tensor) -> torch.Tensor:
        return ssim(self.protocol.pool(pred), self.protocol.pool(gt), **self.protocol.ssim_options)


@METRICS.register_module()
class MSSSIM(FidelityMetric):
    """Multi-scale structural similarity (Wang et al., 2003), the mean of per-image values; larger is better.

    Five scales; images need 16 windows on each side (176 pixels for the window of 11), and smaller ones are not
    measured. Colour, crop, size, window and padding are the protocol's; its ``ssim_pool`` is not used, since scales
    are what MS-SSIM itself averages over. Keys, arguments and errors as in :class:`FidelityMetric`.

    Example:
        >>> import torch
        >>> metric = MSSSIM(baseline=False)
        >>> gt = torch.randint(0, 256, (3, 176, 180), dtype=torch.uint8)
        >>> metric.process(None, [dict(pred=gt / 255, gt=gt)])
        >>> metric.evaluate(1)
        {'MS-SSIM@rgb': 1.0}
    """

    quantity = 'MS-SSIM'
    depends_on = (*IMAGE_CHOICES, 'ssim_window', 'ssim_sigma', 'ssim_padding')

    @property
    def min_size(self) -> int:
        return 16 * self.protocol.ssim_window

    def measure(self, pred: torch.Tensor, gt: torch.Tensor) -> torch.Tensor:
        options = self.protocol.ssim_options
        del options['sample_covariance']
        return ms_ssim(pred, gt, **options)


@METRICS.register_module()
class MAE(FidelityMetric):
    """Mean absolute error of values in [0, 1], the mean of per-image values; smaller is better, 0 is equal.

    Keys, arguments and errors as in :class:`FidelityMetric`.

    Example:
        >>> import torch
        >>> metric = MAE(baseline=False)
        >>> metric.process(None, [dict(pred=torch.full((3, 8, 8), 0.25), gt=torch.zeros(3, 8, 8))])
        >>> metric.evaluate(1)
        {'MAE@rgb': 0.25}
    """

    quantity = 'MAE'
    higher_is_better = False
    depends_on = IMAGE_CHOICES

    def measure(self, pred: torch.Tensor, gt: torch.Tensor) -> torch.Tensor:
        return mae(pred, gt)


class ColourMetric(FidelityMetric):
    """A metric that looks at colours, and so takes no protocol that keeps luma alone."""

    depends_on = IMAGE_CHOICES

    def __init__(self, protocol: str | dict[str, Any] | Protocol = 'rgb', **kwargs: Any) -> None:
        super().__init__(protocol, **kwargs)
        if self.protocol.colour != 'rgb':
            raise InputError(f"{type(self).__name__} looks at colours, and protocol {self.source!r} keeps only "
                             f"{self.protocol.colour!r}; take one with colour='rgb'")


@METRICS.register_module()
class CIEDE2000(ColourMetric):
    """CIEDE2000 colour difference, the mean over pixels and then images; smaller is better, 1 is just noticeable.

    sRGB under D65; see :func:`restorekit.functional.colour_difference.ciede2000`. Keys, arguments and other errors as
    in :class:`FidelityMetric`.

    Raises:
        ValueError: If the protocol keeps luma alone.

    Example:
        >>> import torch
        >>> metric = CIEDE2000(baseline=False)
        >>> metric.process(None, [dict(pred=torch.ones(3, 8, 8), gt=torch.zeros(3, 8, 8))])
        >>> round(metric.evaluate(1)['CIEDE2000@rgb'], 3)
        100.0
    """

    quantity = 'CIEDE2000'
    higher_is_better = False

    def measure(self, pred: torch.Tensor, gt: torch.Tensor) -> torch.Tensor:
        return ciede2000(pred, gt)


@METRICS.register_module()
class ChromaError(ColourMetric):
    """How far the colourfulness is from the truth: ``|m(pred) / m(gt) - 1|``, mean over images; smaller is better.

    m is the mean length of an image's chroma vectors (Cb, Cr of Rec. 601), plus 0.002 so that grey images count too.
    0.1 is a tenth too grey or too colourful. PSNR hardly sees this: colours are a small part of an image's energy.
    Keys, arguments and other errors as in :class:`FidelityMetric`.

    Raises:
        ValueError: If the protocol keeps luma alone.

    Example:
        >>> import torch
        >>> metric = ChromaError('rgb', baseline=False)
        >>> sample = dict(pred=torch.zeros(3, 8, 8), gt=torch.zeros(3, 8, 8, dtype=torch.uint8), domain='haze')
        >>> metric.process(None, [sample])
        >>> metric.evaluate(1)
        {'haze/ChromaError@rgb': 0.0}
    """

    quantity = 'ChromaError'
    higher_is_better = False

    def measure(self, pred: torch.Tensor, gt: torch.Tensor) -> torch.Tensor:
        amounts = [chroma(image).square().sum(dim=1).sqrt().mean(dim=(1, 2)) + 0.002 for image in (pred, gt)]
        return (amounts[0] / amounts[1] - 1).abs()

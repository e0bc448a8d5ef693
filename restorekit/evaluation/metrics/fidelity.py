"""Metrics against a ground truth, by protocol: PSNR and SSIM."""

from restorekit.evaluation.protocols import get_protocol
from restorekit.functional.image_quality import psnr, ssim
from restorekit.registry import METRICS

from .base import ImageMetric

# equal images have an infinite PSNR; one of them must not make the mean of a set infinite
MAX_PSNR = 100.0


class FidelityMetric(ImageMetric):
    """Mean over images of a number that compares the prediction with the ground truth under a protocol.

    A subclass sets ``quantity`` and defines ``measure(pred, gt)`` for images as the protocol prepares them: (N, C, h,
    w) in [0, 1] to (N,). Keys, other arguments and errors as in :class:`ImageMetric`.

    Args:
        protocol (str | Protocol | dict): Name in ``restorekit.evaluation.PROTOCOLS``, or your own choices, as
            ``dict(name='mine', crop_border=4)``.

    Raises:
        ValueError: For an unknown protocol.
    """

    def __init__(self, protocol='rgb', **kwargs):
        super().__init__(**kwargs)
        self.protocol = get_protocol(protocol)

    @property
    def source(self):
        return self.protocol.name

    def prepare(self, pred, gt):
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

    def measure(self, pred, gt):
        return psnr(pred, gt).clamp(max=MAX_PSNR)


@METRICS.register_module()
class SSIM(FidelityMetric):
    """Structural similarity (Wang et al., 2004), the mean of per-image values; larger is better, 1 is equal.

    The window and its padding belong to the protocol. Keys, arguments and errors as in :class:`FidelityMetric`.

    Example:
        >>> import torch
        >>> metric = SSIM(baseline=False)
        >>> gt = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
        >>> metric.process(None, [dict(pred=gt / 255, gt=gt)])
        >>> metric.evaluate(1)
        {'SSIM@rgb': 1.0}
    """

    quantity = 'SSIM'

    def measure(self, pred, gt):
        protocol = self.protocol
        return ssim(pred, gt, protocol.ssim_window, protocol.ssim_sigma, protocol.ssim_padding)

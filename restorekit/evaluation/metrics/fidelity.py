"""Metrics against a ground truth: PSNR and SSIM, by protocol and by domain."""

import logging
import math
from abc import abstractmethod

from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from restorekit.evaluation.protocols import get_protocol
from restorekit.functional.image_quality import psnr, ssim
from restorekit.registry import METRICS

# equal images have an infinite PSNR; one of them must not make the mean of a set infinite
MAX_PSNR = 100.0


class FidelityMetric(BaseMetric):
    """Mean over images of a value that compares the prediction with the ground truth.

    Keys are ``{domain}/{quantity}@{protocol}``, one per ``domain`` in the samples' metainfo, and
    ``{quantity}@{protocol}`` for samples without one. With ``baseline`` the same is reported of the network's input
    as ``{domain}/input_{quantity}@{protocol}``: what doing nothing would score. Samples without ``gt`` are skipped;
    if none has one, a warning says so once and no number is reported.

    A subclass sets ``quantity`` and defines ``measure(pred, gt) -> float``.

    Args:
        protocol (str | Protocol): Name in ``restorekit.evaluation.PROTOCOLS``.
        baseline (bool): Also measure the input, ``data_batch['inputs'][i]``, uint8 (3, H, W) RGB.
        collect_device (str): 'cpu' or 'gpu', where results of several processes meet.
        prefix (str | None): Put before each key, with a slash.
        collect_dir (str | None): With 'cpu', the shared folder they meet in; None makes one in the working directory.

    Attributes:
        last_results (list[dict]): After ``evaluate``, on the main process, one dict per measured image: img_path,
            domain, value, baseline (None where not measured).
        num_skipped (int): After ``evaluate``, how many images had no ground truth.

    Raises:
        ValueError: For an unknown protocol, or if a prediction, input and ground truth differ in size.
    """

    quantity = None

    def __init__(self, protocol='rgb', baseline=True, collect_device='cpu', prefix=None, collect_dir=None):
        # mmengine warns of every metric without a prefix; here the domain is the prefix
        super().__init__(collect_device, prefix or self.quantity, collect_dir)
        self.prefix = prefix
        self.protocol = get_protocol(protocol)
        self.baseline = baseline
        self.last_results = []
        self.num_skipped = 0
        self._warned = False

    @abstractmethod
    def measure(self, pred, gt):
        """Return the value for one prepared pair (1, C, H, W) as a float."""

    def process(self, data_batch, data_samples):
        """Measure one batch; ``data_samples`` are RestoreSamples as dicts with ``pred`` (3, H, W) in [0, 1]."""
        inputs = data_batch.get('inputs') if self.baseline and data_batch is not None else None
        for index, sample in enumerate(data_samples):
            path, domain, gt = sample.get('img_path'), sample.get('domain'), sample.get('gt')
            if gt is None:
                # an entry all the same: gathering over processes relies on one per image
                self.results.append((path, domain, None, None))
                continue
            if sample.get('pred') is None:
                raise ValueError(f'{path}: the sample has no `pred`; the model must return samples with the restored '
                                 f'image in `pred` for {type(self).__name__}, it returned {sorted(sample)}')
            value = self._compare(sample['pred'], gt, path, 'prediction')
            baseline = None if inputs is None else self._compare(inputs[index].to(sample['pred'].device), gt, path,
                                                                 'input (set baseline=False not to measure it)')
            self.results.append((path, domain, value, baseline))

    def _compare(self, image, gt, path, what):
        if image.shape != gt.shape:
            raise ValueError(f'{path}: the {what} is {tuple(image.shape)} (C, H, W) and the ground truth '
                             f'{tuple(gt.shape)}; {type(self).__name__} compares images of equal size')
        return self.measure(*self.protocol.prepare(image, gt))

    def compute_metrics(self, results):
        """Return the mean per domain; see the class for the keys."""
        measured = [result for result in results if result[2] is not None]
        self.num_skipped = len(results) - len(measured)
        self.last_results = [{'img_path': path, 'domain': domain, 'value': value, 'baseline': baseline}
                             for path, domain, value, baseline in measured]
        if self.num_skipped and not self._warned:
            self._warned = True
            print_log(f'{type(self).__name__}: {self.num_skipped} of {len(results)} images have no ground truth (gt) '
                      'and are not measured', logger='current', level=logging.WARNING)
        means = {}
        for domain in dict.fromkeys(result[1] for result in measured):
            prefix = '' if domain is None else f'{domain}/'
            for kind, column in (('', 2), ('input_', 3)):
                values = [result[column] for result in measured if result[1] == domain and result[column] is not None]
                if values:
                    means[f'{prefix}{kind}{self.quantity}@{self.protocol.name}'] = math.fsum(values) / len(values)
        return means


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

    def measure(self, pred, gt):
        return min(psnr(pred, gt).item(), MAX_PSNR)


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
        return ssim(pred, gt, protocol.ssim_window, protocol.ssim_sigma, protocol.ssim_padding).item()

"""What every image metric shares: one row per image, means by domain, the network's input as a baseline."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from restorekit.files.names import log
from restorekit.functional.image_quality import unit_float
from restorekit.messages import InputError


class ImageMetric(BaseMetric):
    """Mean over images of one number per image, by domain.

    Keys are ``{domain}/{label}``, one per ``domain`` in the samples' metainfo, and ``{label}`` for samples without
    one. With ``baseline`` the same is reported of the network's input as ``{domain}/input_{label}``: what doing
    nothing would score. Samples without the ground truth that the metric needs, images that could not be read
    (metainfo ``broken``), and images that are smaller than ``min_size`` as the metric sees them, are not measured; a
    warning says once how many.

    Beside MMEngine's calls there are ``update(pred, gt)``, ``compute()`` and ``reset()``, as in torchmetrics.

    ``process`` appends one row per sample to ``results``: dict(index, img_path, domain, value, baseline), the two
    numbers None where not measured; ``index`` is the sample's ``test_index``. On the CPU every image is measured
    alone, elsewhere images of one size together and without waiting for each, so that on the CPU a number never
    depends on the batch, the order or the number of processes.

    A subclass sets ``quantity`` and ``source``, and defines ``measure(pred, gt)``. The facts on the class
    (``higher_is_better``, ``unit``, ``depends_on``) are what reports and plots read.

    Args:
        baseline (bool): Also measure the input, ``data_batch['inputs'][i]``, uint8 (3, H, W) RGB.
        collect_device (str): 'cpu' or 'gpu', where results of several processes meet.
        prefix (str | None): Put before each key, with a slash.
        collect_dir (str | None): With 'cpu', the shared folder they meet in; None makes one in the working directory.

    Attributes:
        quantity (str): What is measured, as 'PSNR'.
        variant (str): What tells numbers of one quantity apart besides the source, as a backbone; '' for nothing.
        source (str): What decides the number besides the images: the protocol's name, or the library's.
        higher_is_better (bool): Whether a larger number is a better image.
        unit (str): 'dB', or '' for a number without one.
        depends_on (tuple[str, ...]): The choices of a :class:`~restorekit.evaluation.Protocol` that change the number.
        needs_gt (bool): Whether the ground truth is compared with.
        min_size (int): The smallest height and width that can be measured; a smaller image has no number.
        last_results (list[dict]): After ``evaluate``, on the main process, the rows that have a value, by index.
        num_skipped (int): After ``evaluate``, how many images were not measured.

    Raises:
        ValueError: If a sample has no ``pred``, or prediction, input and ground truth differ in size.
    """

    quantity: str | None = None
    variant: str = ''
    source: str | None = None
    higher_is_better: bool = True
    unit: str = ''
    depends_on: tuple[str, ...] = ()
    needs_gt: bool = True
    min_size: int = 1

    def __init__(self, baseline: bool = True, collect_device: str = 'cpu', prefix: str | None = None,
                 collect_dir: str | None = None) -> None:
        # mmengine warns of every metric without a prefix; here the domain is the prefix
        super().__init__(collect_device, prefix or self.quantity, collect_dir)
        self.prefix = prefix
        self.baseline = baseline
        self.last_results = []
        self.num_skipped = 0
        self._warned = False

    @property
    def label(self) -> str:
        """The name of the number, with how it was measured, as in ``PSNR@rgb`` or ``LPIPS-alex@rgb``."""
        return f'{self.quantity}{f"-{self.variant}" if self.variant else ""}@{self.source}'

    def prepare(self, pred: torch.Tensor, gt: Any) -> tuple[Any, ...]:
        """Return the images as ``measure`` takes them: (N, 3, H, W) float32 RGB in [0, 1]; ``gt`` may be None."""
        return tuple(None if image is None else unit_float(image) for image in (pred, gt))

    @abstractmethod
    def measure(self, pred: torch.Tensor, gt: Any) -> torch.Tensor:
        """Return one number per image, (N,), of prepared images; ``gt`` is None without ``needs_gt``."""

    def process(self, data_batch: dict[str, Any] | None, data_samples: Sequence[dict[str, Any]]) -> None:
        """Measure one batch; ``data_samples`` are RestoreSamples as dicts with ``pred`` (3, H, W) in [0, 1]."""
        inputs = data_batch.get('inputs') if self.baseline and data_batch is not None else None
        rows, jobs = [], []
        for number, sample in enumerate(data_samples):
            # a row all the same if nothing is measured: gathering over processes relies on one per image
            rows.append({'index': sample.get('test_index'), 'img_path': sample.get('img_path'),
                         'domain': sample.get('domain'), 'value': None, 'baseline': None})
            if sample.get('broken') or (self.needs_gt and sample.get('gt') is None):
                continue
            path, pred, gt = sample.get('img_path'), sample.get('pred'), sample['gt'] if self.needs_gt else None
            if pred is None:
                raise InputError(f'{path}: the sample has no `pred`; the model must return samples with the restored '
                                 f'image in `pred` for {type(self).__name__}, it returned {sorted(sample)}')
            gt = None if gt is None else gt.to(pred.device, non_blocking=True)
            jobs.append((rows[-1], 'value', path, self._checked(pred, gt, path, 'prediction'), gt))
            if inputs is not None:
                image = inputs[number].to(pred.device, non_blocking=True)
                what = 'input (set baseline=False not to measure it)'
                jobs.append((rows[-1], 'baseline', path, self._checked(image, gt, path, what), gt))
        for (row, field, *_), value in zip(jobs, self._values([job[2:] for job in jobs]), strict=True):
            row[field] = value
        self.results += rows

    def update(self, pred: torch.Tensor, gt: torch.Tensor | None = None) -> None:
        """Measure images.

        Args:
            pred (Tensor): (N, 3, H, W) or (3, H, W) RGB, float in [0, 1] or uint8.
            gt (Tensor, optional): Ground truth, of the same shape; not for a metric that needs none.

        Raises:
            InputError: Without the ground truth that the metric needs, or if shapes do not fit.

        Example:
            >>> import torch
            >>> from restorekit.evaluation import PSNR
            >>> metric = PSNR()
            >>> metric.update(torch.full((2, 3, 8, 8), 0.1), torch.zeros(2, 3, 8, 8))
            >>> round(metric.compute(), 3)
            20.0
        """
        preds, gts = (image[None] if image is not None and image.ndim == 3 else image for image in (pred, gt))
        if preds.ndim != 4 or preds.shape[1] != 3 or (gts is not None and gts.shape != preds.shape):
            raise InputError(f'{type(self).__name__} takes images (N, 3, H, W) and ground truth of the same shape, but '
                             f'got {tuple(pred.shape)} and {None if gt is None else tuple(gt.shape)}')
        if gts is None and self.needs_gt:
            raise InputError(f'{type(self).__name__} compares with the ground truth, but got none')
        self.process(None, [dict(pred=image, gt=None if gts is None else gts[i]) for i, image in enumerate(preds)])

    def compute(self) -> float:
        """Return the mean over all images since the last ``reset``, of this process.

        Raises:
            InputError: If no image could be measured.
        """
        values = [row['value'] for row in self.results if row['value'] is not None]
        if not values:
            raise InputError(f'{self.label}: no image has been measured, so there is no mean; call update first, with '
                             f'images of at least {self.min_size} pixels')
        return mean(values)

    def reset(self) -> None:
        """Forget all images."""
        self.results.clear()

    def _checked(self, image, gt, path, what):
        if gt is not None and image.shape != gt.shape:
            raise InputError(f'{path}: the {what} is {tuple(image.shape)} (C, H, W) and the ground truth '
                             f'{tuple(gt.shape)}; {type(self).__name__} compares images of equal size')
        return image

    def _values(self, jobs):
        """Return one float per (path, image, gt), None if it is too small, waiting for the device once."""
        groups, order = {}, []
        for number, (_, image, gt) in enumerate(jobs):
            groups.setdefault(number if _alone(image) else _kind(image, gt), []).append(number)
        measured, values = [], [None] * len(jobs)
        with torch.no_grad():
            for numbers in groups.values():
                paths, images, gts = zip(*(jobs[number] for number in numbers), strict=True)
                try:
                    prepared = self.prepare(_batch(images), _batch(gts) if self.needs_gt else None)
                    if min(prepared[0].shape[-2:]) < self.min_size:
                        continue
                    measured.append(self.measure(*prepared).double())
                    order += numbers
                except ValueError as error:
                    raise InputError(f'{paths[0]}: {error}') from error
        flat = torch.cat(measured).tolist() if measured else []
        for number, value in zip(order, flat, strict=True):
            values[number] = value
        return values

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Return the mean per domain; see the class for the keys."""
        if all(row['index'] is not None for row in results):
            results = sorted(results, key=lambda row: row['index'])
        self.last_results = [row for row in results if row['value'] is not None]
        self.num_skipped = len(results) - len(self.last_results)
        if self.num_skipped and not self._warned:
            self._warned = True
            reasons = ['have no ground truth (gt)'] * self.needs_gt + ['could not be read'] + \
                [f'are smaller than {self.min_size} pixels'] * (self.min_size > 1)
            why = ' or '.join([', '.join(reasons[:-1]), reasons[-1]] if len(reasons) > 1 else reasons)
            log(f'{self.label}: {self.num_skipped} of {len(results)} images {why}, and are not measured')
        means = {}
        for domain in dict.fromkeys(row['domain'] for row in self.last_results):
            rows = [row for row in self.last_results if row['domain'] == domain]
            for kind, field in (('', 'value'), ('input_', 'baseline')):
                values = [row[field] for row in rows if row[field] is not None]
                if values:
                    key = f'{kind}{self.label}' if domain is None else f'{domain}/{kind}{self.label}'
                    means[key] = mean(values)
        return means


def mean(values: Sequence[float]) -> float:
    """Return the mean of numbers by math.fsum; inf or nan where one of them is."""
    # fsum refuses inf beside -inf
    return (math.fsum if all(map(math.isfinite, values)) else sum)(values) / len(values)


def _batch(images):
    return torch.stack(images) if len(images) > 1 else images[0][None]


def _alone(image):
    # on the CPU a batch gains nothing, and sums over a batch may round differently from an image's own
    return image.device.type == 'cpu'


def _kind(image, gt):
    """What images must share to be measured together."""
    return image.shape, image.dtype, image.device, None if gt is None else gt.dtype

"""Metrics of the restored image alone, most by a library that the user installs."""

from __future__ import annotations

from typing import Any

import torch

from restorekit.functional.haze_prior import haze_density
from restorekit.functional.image_quality import unit_float
from restorekit.messages import InputError, unknown_name_message
from restorekit.registry import METRICS

from .base import ImageMetric
from .optional import downloads, import_library

# these licences forbid or do not grant commercial use, so no other extra installs them
EXTRA = 'metrics-research'


class LibraryMetric(ImageMetric):
    """Mean over images of a number that a library computes of each.

    Images are rounded to 8 bits first, so that the number is that of the written file. The key names the library, as
    in ``NIQE@pyiqa``: two implementations of one metric seldom agree. Arguments as in :class:`ImageMetric`.
    """

    needs_gt = False

    def prepare(self, pred: torch.Tensor, gt: torch.Tensor | None) -> tuple[Any, ...]:
        return tuple(None if image is None else (unit_float(image) * 255).round() / 255 for image in (pred, gt))


@METRICS.register_module()
class PyIQA(LibraryMetric):
    """Any metric of the library pyiqa (IQA-PyTorch) that rates single images or pairs.

    Args:
        metric (str): Its name in pyiqa, as 'musiq', 'nima', 'clipiqa' or, with a ground truth, 'dists'. The label is
            the name in capitals: ``MUSIQ@pyiqa``.
        options (dict | None): Further arguments of ``pyiqa.create_metric``.
        **kwargs: As in :class:`ImageMetric`.

    Raises:
        ImportError: If pyiqa is not installed.
        ValueError: If pyiqa has no such metric, or it rates sets of images.
        RuntimeError: If its weights are absent and cannot be downloaded.

    Example:
        >>> PyIQA(metric='piqe').label  # doctest: +SKIP
        'PIQE@pyiqa'
    """

    source = 'pyiqa'

    def __init__(self, metric: str, options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.quantity = metric.upper()
        super().__init__(**kwargs)
        self.options = options or {}
        pyiqa = import_library('pyiqa', 'pyiqa', self.quantity, EXTRA)
        if metric not in pyiqa.list_models():
            raise InputError(unknown_name_message(metric, pyiqa.list_models(), "list of pyiqa's metrics"))
        if metric.startswith(('fid', 'inception_score')):
            raise InputError(f'{metric} rates a set of images, not each; restorekit measures per image')
        with downloads(self.label, f'pyiqa names the file above; it belongs in {torch.hub.get_dir()}/pyiqa, or in the '
                                   'Hugging Face cache'):
            self.network = pyiqa.create_metric(metric, device='cpu', **self.options)
        self.needs_gt = self.network.metric_mode == 'FR'
        self.higher_is_better = not self.network.lower_better

    def measure(self, pred: torch.Tensor, gt: torch.Tensor | None) -> torch.Tensor:
        network = self.network.to(pred.device)
        return (network(pred, gt) if self.needs_gt else network(pred)).flatten()


@METRICS.register_module()
class FADE(LibraryMetric):
    """Fog aware density evaluator (Choi et al., 2015), by fade-python on the CPU; smaller is less fog.

    A dark or over-contrasted image scores low too: never report it without a metric of quality beside it.

    Args:
        **kwargs: As in :class:`ImageMetric`.

    Raises:
        ImportError: If fade-python is not installed.

    Example:
        >>> FADE().label  # doctest: +SKIP
        'FADE@fade-python'
    """

    quantity = 'FADE'
    source = 'fade-python'
    higher_is_better = False
    min_size = 8

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fade = import_library('pyfade', 'fade-python', 'FADE', EXTRA).fade

    def measure(self, pred: torch.Tensor, gt: torch.Tensor | None) -> torch.Tensor:
        images = (pred * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return torch.tensor([float(self.fade(image)) for image in images], dtype=torch.float64)


@METRICS.register_module()
class HazeDensity(LibraryMetric):
    """Mean dark channel (He et al., CVPR 2009) in [0, 1], by restorekit's own code; smaller is less haze.

    As with :class:`FADE`, a dark or over-contrasted image scores low too: never report it without a metric of quality.

    Args:
        **kwargs: As in :class:`ImageMetric`.

    Example:
        >>> metric = HazeDensity()
        >>> metric.update(torch.full((3, 16, 16), 0.6))
        >>> round(metric.compute(), 3)
        0.6
    """

    quantity = 'HazeDensity'
    source = 'restorekit'
    higher_is_better = False

    def measure(self, pred: torch.Tensor, gt: torch.Tensor | None) -> torch.Tensor:
        return haze_density(pred)

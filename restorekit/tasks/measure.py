"""Measure images that any program wrote, under named protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from restorekit.evaluation import PROTOCOLS, FidelityMetric, Protocol, get_protocol
from restorekit.evaluation.metrics.fidelity import ColourMetric
from restorekit.messages import InputError, refuse_unused
from restorekit.registry import METRICS


class Measurements(NamedTuple):
    """What :func:`measure` found.

    Attributes:
        pairs (int): How many pairs of images were measured.
        means (dict[str, dict[str, float | None]]): By protocol and metric the mean over the images; None where a metric
            of colours meets a protocol that keeps none, or every image is too small.
        columns (dict[str, str]): By metric its quantity and unit, as in ``'PSNR (dB)'``.
    """

    pairs: int
    means: dict[str, dict[str, float | None]]
    columns: dict[str, str]


def measure(pred: str | Path | None = None, gt: str | Path | None = None, *,
            metrics: Sequence[str] = ('PSNR', 'SSIM'), protocols: Sequence[str] | None = None,
            pairing: str = 'stem', dataset_options: Mapping[str, Any] | None = None,
            progress: Callable[[int, int], object] | None = None) -> Measurements:
    """Measure restored images against clear ones under several protocols.

    Args:
        pred (str | Path, optional): A restored image, or a folder of them. Without ``pred`` and ``gt`` a scene drawn by
            code is measured, against itself blurred, noisy and tinted.
        gt (str | Path, optional): The clear image, or the folder of them.
        metrics (Sequence[str]): Registered metrics that take a protocol.
        protocols (Sequence[str], optional): Names of protocols; default: all.
        pairing (str): How the files of two folders belong together, see ``PairedDataset``: 'stem', 'prefix', 'suffix'.
        dataset_options (Mapping, optional): Further arguments of ``PairedDataset``.
        progress (Callable, optional): Called with (pairs measured, pairs) after each.

    Returns:
        Measurements: The number of pairs, and the means by protocol and metric.

    Raises:
        InputError: If only one of ``pred`` and ``gt`` is given, a metric takes no protocol, or a protocol is unknown.
        ImageFileError: If an image cannot be read.

    Example:
        >>> from restorekit.tasks.measure import measure
        >>> round(measure(protocols=['rgb']).means['rgb']['PSNR'], 1)
        33.4
    """
    if (pred is None) != (gt is None):
        raise InputError(f'give both images, both folders or nothing, but got {pred or gt} alone')
    if pred is None or not Path(pred).is_dir():
        refuse_unused(measure, dict(pairing=pairing, dataset_options=dataset_options or None), 'folders',
                      'a scene drawn by code' if pred is None else 'two images')
    chosen = [get_protocol(name) for name in protocols or PROTOCOLS]
    kinds = {name: METRICS.get(name) for name in metrics}
    for name, kind in kinds.items():
        if not issubclass(kind, FidelityMetric):
            raise InputError(f'{name} takes no protocol; measure takes metrics that compare with a ground truth')
    built = {(protocol.name, name): _build(name, kind, protocol) for protocol in chosen for name, kind in kinds.items()}
    samples = [_drawn_pair()] if pred is None or gt is None else \
        _pairs(Path(pred), Path(gt), pairing, dict(dataset_options or {}))
    for number, sample in enumerate(samples, 1):
        for metric in built.values():
            if metric is not None:
                metric.process(None, [sample])
        if progress is not None:
            progress(number, len(samples))
    means = {protocol.name: {name: _mean(built[protocol.name, name], len(samples)) for name in kinds}
             for protocol in chosen}
    columns = {name: (kind.quantity or name) + (f' ({kind.unit})' if kind.unit else '') for name, kind in kinds.items()}
    return Measurements(len(samples), means, columns)


def _build(name: str, kind: type[FidelityMetric], protocol: Protocol) -> FidelityMetric | None:
    if issubclass(kind, ColourMetric) and protocol.colour != 'rgb':
        return None
    metric: FidelityMetric = METRICS.build(dict(type=name, protocol=protocol, baseline=False))
    return metric


def _mean(metric: FidelityMetric | None, number: int) -> float | None:
    return None if metric is None else metric.evaluate(number).get(metric.label)


def _pairs(pred: Path, gt: Path, pairing: str, options: dict[str, Any]) -> Sequence[dict[str, Any]] | _Pairs:
    """Return samples, dicts of img_path, pred and gt; the ones of folders are read one by one."""
    if pred.is_dir():
        return _Pairs(pred, gt, pairing, options)
    from restorekit.files.image_io import read_image
    images = [torch.from_numpy(read_image(path)).permute(2, 0, 1) for path in (pred, gt)]
    return [dict(img_path=str(pred), pred=images[0], gt=images[1])]


class _Pairs:
    """The pairs of two folders, read one at a time."""

    def __init__(self, pred: Path, gt: Path, pairing: str, options: dict[str, Any]) -> None:
        from restorekit.datasets import PairedDataset
        self.dataset = PairedDataset(str(pred), str(gt), pairing=pairing, **options)

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for index in range(len(self)):
            item = self.dataset[index]
            sample = item['data_samples']
            yield dict(img_path=sample.get('img_path'), pred=item['inputs'], gt=sample.gt)


def _drawn_pair() -> dict[str, Any]:
    """Return a scene of 460 x 620 pixels and what a mediocre network could make of it."""
    from restorekit.functional.filters import gaussian_blur
    from restorekit.scenes.renderer import render_scene
    gt = torch.from_numpy(render_scene(0, 460, 620, 'city')[0]).permute(2, 0, 1)
    noise = 0.015 * torch.randn(gt.shape, generator=torch.Generator().manual_seed(0))
    pred = gaussian_blur(gt[None] / 255, 0.6)[0] + torch.tensor([0.015, 0, -0.015]).view(3, 1, 1) + noise
    return dict(img_path='a scene drawn by code', pred=pred.clamp(0, 1), gt=gt)

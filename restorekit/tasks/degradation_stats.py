"""Compare statistics of synthetic hazy images with those of real photos."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restorekit.messages import InputError, refuse_unused

from .process import Progress, prepare_process

NEIGHBOURS = 5

Statistics = dict[str, Any]  # of one image, see restorekit.evaluation.coverage.image_statistics


@dataclass
class StatisticsReport:
    """What :func:`degradation_stats` measured.

    Attributes:
        config (str): The degradation.
        count, size, seed (int): As given.
        groups (dict[str, list[dict]]): By folder of real photos, ``'all'`` (with several folders) and ``'synthetic'``,
            the statistics of each image.
        coverage (dict[str, dict[str, float]]): By group of real photos, how well the synthetic images cover it.
    """

    config: str
    count: int
    size: int
    seed: int
    groups: dict[str, list[Statistics]]
    coverage: dict[str, dict[str, float]]

    def percentiles(self, group: str) -> dict[str, list[float]]:
        """Return the 2nd, 50th and 98th percentile of every statistic of a group."""
        import numpy as np

        from restorekit.evaluation.coverage import STATISTICS
        values = np.percentile([item['vector'] for item in self.groups[group]], [2, 50, 98], axis=0).T
        return {name: [round(float(value), 4) for value in row] for name, row in zip(STATISTICS, values, strict=True)}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return dict(config=self.config, count=self.count, size=self.size, seed=self.seed, coverage=self.coverage,
                    percentiles={group: self.percentiles(group) for group in self.groups})

    def table(self) -> str:
        """Lay out the percentiles of each group and the coverage of each group of real photos as text."""
        from restorekit.evaluation.coverage import STATISTICS
        from restorekit.text_table import text_table
        rows: list[tuple[object, ...]] = [('', 'images', *STATISTICS)]
        for name, items in self.groups.items():
            rows.append((name, len(items), *(' '.join(f'{value:.2f}' for value in row)
                                             for row in self.percentiles(name).values())))
        keys = ('inside', 'near', 'dark_channel', 'saturation')
        covered: list[tuple[object, ...]] = [('', *keys)]
        for name, score in self.coverage.items():
            covered.append((name, *(f'{100 * score[key]:.1f}' for key in keys)))
        return '\n'.join(['2nd, 50th and 98th percentile', text_table(rows), '',
                          'coverage of the real photos by the synthetic images, in per cent', text_table(covered)])

    def draw_figure(self, path: str | os.PathLike[str]) -> None:
        """Draw histograms and airlight colours of every group into one image file."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        figure = Figure(figsize=(13, 3.2), layout='constrained')
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, 4)
        for name, items in self.groups.items():
            if name == 'all':
                continue
            synthetic = name == 'synthetic'
            style: dict[str, Any] = dict(label=name, linewidth=2.5 if synthetic else 1.2,
                                         color='black' if synthetic else None)
            for axis, key in zip(axes, ('dark_channel', 'saturation'), strict=False):
                density = sum(item[key] for item in items) / len(items)
                axis.plot([(i + 0.5) / len(density) for i in range(len(density))], density, **style)
                axis.set(title=key.replace('_', ' '), xlabel='value', ylabel='share of pixels')
            noise = sorted(item['vector'][5] for item in items)
            axes[2].plot(noise, [(i + 1) / len(noise) for i in range(len(noise))], **style)
            red, green, blue = ([item['vector'][i] for item in items] for i in range(3))
            ratio = [[a / max(b, 1e-3) for a, b in zip(x, green, strict=True)] for x in (red, blue)]
            axes[3].scatter(*ratio, s=8, alpha=0.5, zorder=0 if synthetic else 1,
                            color='lightgrey' if synthetic else None)
        axes[2].set(title='noise level', xlabel='1/255', ylabel='share of images')
        axes[3].set(title='airlight colour', xlabel='red / green', ylabel='blue / green', xlim=(0.5, 2), ylim=(0, 1.6))
        axes[0].legend(fontsize=8)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)


def degradation_stats(config: str | os.PathLike[str], real: Sequence[str | os.PathLike[str]], *,
                      clear: str | os.PathLike[str] | None = None, depth: str | os.PathLike[str] | None = None,
                      depth_options: Mapping[str, Any] | None = None, dataset: str | None = None,
                      data_root: str | None = None, count: int = 1000, size: int = 256, seed: int = 0,
                      progress: Progress | None = None) -> StatisticsReport:
    """Measure degraded clear images and real photos, and how well the first cover the second.

    Args:
        config (str | Path): A preset, or a config with a ``degradation``.
        real (Sequence): Folders of real photos, each compared on its own, and all together.
        clear (str | Path, optional): Folder of clear images to degrade; default: scenes drawn by code.
        depth (str | Path, optional): Folder of depth maps of ``clear``, with the same names.
        depth_options (dict, optional): How the maps are coded; see :func:`~restorekit.degradations.convert_depth`.
        dataset (str, optional): Instead of ``clear``: dotted key of the config that holds a dataset of clear images;
            its pipelines are not run.
        data_root (str, optional): Folder joined before the relative paths of ``dataset``.
        count (int): Number of synthetic images.
        size (int): Shorter side that all images are shrunk to, in pixels, at least 16.
        seed (int): Seed of the draws.
        progress (Callable, optional): Called as ``progress(images measured, all images)``.

    Returns:
        StatisticsReport: The numbers, with ``table()``, ``to_dict()`` and ``draw_figure(path)``.

    Raises:
        InputError: If an argument is out of range, or the config has no such dataset.
        MissingFileError: If a folder or preset is missing.

    Example:
        >>> report = degradation_stats('day', ['photos'], count=100)  # doctest: +SKIP
        >>> report.coverage['photos']['inside']  # doctest: +SKIP
        0.82
    """
    if count < 1 or size < 16:
        raise InputError(f'count must be at least 1 and size at least 16, but got {count} and {size}')
    if clear is not None and dataset is not None:
        raise InputError('clear images come from a folder or from a dataset of the config; give one of the two')
    if clear is None:
        refuse_unused(degradation_stats, dict(depth=depth), 'images in clear', 'no clear')
    if depth is None:
        refuse_unused(degradation_stats, dict(depth_options=depth_options or None), 'maps in depth', 'no depth')
    if dataset is None:
        refuse_unused(degradation_stats, dict(data_root=data_root), 'a dataset of the config', 'no dataset')
    prepare_process()
    from restorekit.datasets import scan_images
    from restorekit.evaluation.coverage import coverage, image_statistics
    from restorekit.files.image_io import read_image
    names = {str(folder): list(scan_images(str(folder))) for folder in real}
    for folder, files in names.items():
        if len(files) <= NEIGHBOURS:
            raise InputError(f'{folder} must have at least {NEIGHBOURS + 1} photos for the coverage, but got '
                             f'{len(files)}')
    source = _clear_dataset(config, clear, depth, dict(depth_options or {}), dataset, data_root, count, size)
    total, done = count + sum(map(len, names.values())), 0
    synthetic = []
    for item in _synthetic(config, source, count, size, seed):
        synthetic.append(item)
        done += 1
        if progress is not None:
            progress(done, total)
    groups: dict[str, list[Statistics]] = {}
    for folder, files in names.items():
        label = Path(folder).name if Path(folder).name not in groups else folder
        groups[label] = []
        for name in files:
            groups[label].append(image_statistics(shrink(read_image(Path(folder, name)), size)))
            done += 1
            if progress is not None:
                progress(done, total)
    if len(groups) > 1:
        groups['all'] = [item for items in groups.values() for item in items]
    scores = {name: coverage(items, synthetic, NEIGHBOURS) for name, items in groups.items()}
    return StatisticsReport(str(config), count, size, seed, {**groups, 'synthetic': synthetic}, scores)


def shrink(image: Any, size: int) -> Any:
    """Shrink an image, or a depth map, by area until its shorter side is at most ``size``."""
    import cv2
    height, width = image.shape[:2]
    factor = size / min(height, width)
    if factor >= 1:
        return image
    return cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)


def _synthetic(config: str | os.PathLike[str], dataset: Any, count: int, size: int, seed: int) -> Any:
    """Degrade ``count`` clear images and yield the statistics of each."""
    import torch

    from restorekit.degradations import build_degradation, load_preset
    from restorekit.evaluation.coverage import image_statistics
    from restorekit.functional.images import to_array, to_tensor
    from restorekit.random import derive_seed
    degradation = build_degradation(load_preset(config))
    for number in range(count):
        drawn = derive_seed(seed, number)
        item = dataset[(drawn % len(dataset), number)]
        sample = item['data_samples']
        image = to_tensor(shrink(item['inputs'].permute(1, 2, 0).numpy(), size)).float()[None] / 255
        depth = torch.from_numpy(shrink(sample.depth[0].numpy(), size))[None, None] if 'depth' in sample else None
        yield image_statistics(to_array(degradation(image, depth, [drawn])[0][0]))


def _clear_dataset(config: str | os.PathLike[str], clear: str | os.PathLike[str] | None,
                   depth: str | os.PathLike[str] | None, depth_options: dict[str, Any], key: str | None,
                   data_root: str | None, count: int, size: int) -> Any:
    """Build the dataset of clear images."""
    from restorekit.config import load_config
    from restorekit.datasets import ClearDepthDataset, ProceduralScenes
    from restorekit.registry import DATASETS
    if clear is not None:
        return ClearDepthDataset(str(clear), None if depth is None else str(depth), depth_options)
    if key is None:
        return ProceduralScenes(length=count, height=size, width=size * 4 // 3)
    from mmengine.registry import DefaultScope

    from restorekit.engine import join_data_root
    cfg = load_config(config, data_root=data_root)
    node = cfg._cfg_dict
    for part in key.split('.'):
        if not isinstance(node, dict) or part not in node:
            raise InputError(f'{config} has no dataset {key!r}; it sets {", ".join(cfg)}')
        node = node[part]
    cfg.train_dataloader = dict(dataset=node)
    join_data_root(cfg)
    node = cfg.train_dataloader.dataset
    _drop_pipelines(node)
    with DefaultScope.overwrite_default_scope('restorekit'):
        return DATASETS.build(node)


def _drop_pipelines(node: Any) -> None:
    if isinstance(node, dict):
        for key in [key for key in node if key.endswith('pipeline')]:
            node[key] = []
        for value in node.values():
            _drop_pipelines(value)
    elif isinstance(node, list):
        for value in node:
            _drop_pipelines(value)

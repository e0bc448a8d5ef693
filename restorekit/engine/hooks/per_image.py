"""What each validation measured on each image, in a file beside the checkpoints."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from restorekit.engine.evaluation_loop import encode_strip
from restorekit.evaluation import ImageMetric
from restorekit.files.atomic import atomic_write_bytes, atomic_write_text
from restorekit.files.names import file_name
from restorekit.files.reader import read_json
from restorekit.registry import HOOKS

FILE = 'per_image.json'
NOT_SHOWN = {'lr', 'base_lr', 'time', 'data_time', 'memory', 'grad_norm', 'eta', 'loss'}
PICTURES = 'pictures'


@HOOKS.register_module()
class PerImageHook(Hook):
    """Write ``per_image.json`` after each validation: the numbers of every image, and the course of the means.

    The file holds ``iteration``; ``metrics``: for each label ``higher_is_better``, ``unit`` and ``sets``, which map a
    set's name and an image's name to [value, the input's value]; ``curve``: [iteration, {key: mean}] per validation;
    ``logged``: for each number that training logs, besides times and rates, [mean, its end over its start] (last and
    first tenth of the iterations). A resumed run continues the curve.

    Args:
        pictures (Sequence[str]): Sets of which the last validation also saves input, result and truth side by side,
            as ``pictures/SET/IMAGE.jpg``.

    Example:
        >>> PerImageHook(pictures=['dust']).pictures
        ('dust',)
    """

    def __init__(self, pictures: Sequence[str] = ()):
        self.pictures = tuple(pictures)
        self._seen = Counter()

    def before_val_epoch(self, runner):
        """Start to count names."""
        self._seen.clear()

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Save pictures of the last validation."""
        if not self.pictures or runner.iter < runner.max_iters:
            return
        for inputs, sample in zip(data_batch['inputs'], outputs, strict=True):
            domain = sample.get('domain')
            if domain in self.pictures and 'gt' in sample:
                name = _numbered(_stem(sample.get('img_path')), domain, self._seen)
                path = Path(runner.work_dir, PICTURES, file_name(domain), f'{file_name(name)}.jpg')
                path.parent.mkdir(parents=True, exist_ok=True)
                atomic_write_bytes(encode_strip(inputs, sample), path, sync=False)

    def after_val_epoch(self, runner, metrics=None):
        """Write the file."""
        if not is_main_process():
            return
        path = Path(runner.work_dir, FILE)
        curve = read_json(path, 'the curve of a run').get('curve', []) if path.is_file() else []
        curve = [entry for entry in curve if entry[0] < runner.iter]
        curve.append([runner.iter, {key: float(value) for key, value in (metrics or {}).items()}])
        found = per_image_numbers(runner.val_loop.evaluator.metrics)
        record = dict(iteration=runner.iter, metrics=found, curve=curve, logged=logged_scalars(runner.message_hub))
        atomic_write_text(json.dumps(record), path)


def per_image_numbers(metrics: Sequence) -> dict[str, dict]:
    """Return what metrics last measured on each image, as in ``per_image.json``; they have been evaluated."""
    found = {}
    for metric in metrics:
        if isinstance(metric, ImageMetric):
            seen, sets = Counter(), {}
            for row in metric.last_results:
                domain = row['domain'] or 'val'
                name = _numbered(_stem(row['img_path']), domain, seen)
                sets.setdefault(domain, {})[name] = [row['value'], row['baseline']]
            found[metric.label] = dict(higher_is_better=metric.higher_is_better, unit=metric.unit, sets=sets)
    return found


def logged_scalars(message_hub):
    """Return {name: [mean, end over start]} of what training logged."""
    found = {}
    for key, buffer in message_hub.log_scalars.items():
        name = key.removeprefix('train/')
        values = np.asarray(buffer.data[0], np.float64)
        if key.startswith('train/') and name not in NOT_SHOWN and len(values) and np.isfinite(values).all():
            tenth = max(1, len(values) // 10)
            start, end = values[:tenth].mean(), values[-tenth:].mean()
            found[name] = [float(values.mean()), float(end / start) if start else None]
    return found


def _stem(path):
    return Path(str(path)).stem


def _numbered(name, domain, seen):
    """The name, with a number where the set has had it before (images of several folders)."""
    seen[domain, name] += 1
    return name if seen[domain, name] == 1 else f'{name}-{seen[domain, name]}'

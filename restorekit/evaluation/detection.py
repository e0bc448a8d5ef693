"""Does restoration help a machine? Detections on photos, scored as COCO does.

Detectors are in :mod:`restorekit.evaluation.detectors`; ground truth is :class:`~restorekit.datasets.voc.VOCBoxes`;
:class:`DetectionScore` compares the two.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from restorekit.messages import InputError, MissingDependencyError
from restorekit.text_table import markdown_table

# what VOC and road datasets call what COCO's detectors call otherwise
ALIASES = dict(motorbike='motorcycle', aeroplane='airplane', sofa='couch', tvmonitor='tv', diningtable='dining table',
               pottedplant='potted plant', pedestrian='person', people='person', rider='person', cyclist='person',
               bike='bicycle', lorry='truck')


def class_indices(categories: Sequence[str]) -> dict[str, int]:
    """Return ``{class name: label}`` of a detector's categories, with the names that VOC uses.

    Args:
        categories (list[str]): Name of each label; as COCO's lists may hold ``'N/A'`` and ``'__background__'``.

    Example:
        >>> class_indices(['__background__', 'person', 'motorcycle'])['motorbike']
        2
    """
    found = {name: label for label, name in enumerate(categories) if name not in ('N/A', '__background__')}
    return {**{alias: found[name] for alias, name in ALIASES.items() if name in found}, **found}


class DetectionScore:
    """COCO's average precision of detections, by pycocotools.

    Boxes marked difficult are COCO's crowds: what is found there counts neither for nor against. Detections of classes
    that no photo is annotated with are not scored. At most 100 detections per image count, the surest.

    Args:
        truths (list[VOCBoxes]): One per image.
        classes (dict[str, int]): Class name to label, see :func:`class_indices`; names are compared in lower case.

    Attributes:
        names (dict[int, str]): The labels scored, each with its first annotated name.
        counts (dict[int, int]): Scored boxes of each.
        unmapped (dict[str, int]): Annotated names the detector does not know, with their number.

    Raises:
        ImportError: Without pycocotools; names the extra.
        ValueError: If no annotated class is one of ``classes``.
    """

    def __init__(self, truths: Sequence[Any], classes: dict[str, int]) -> None:
        try:
            from pycocotools.coco import COCO
        except ImportError as error:
            raise MissingDependencyError('scoring detections needs pycocotools: python -m pip install '
                                         '"restorekit[detection]"') from error
        self.names, self.counts, self.unmapped = {}, {}, {}
        entries = []
        for image, truth in enumerate(truths, 1):  # ids start at 1: pycocotools takes a match with id 0 for none
            for box, name, difficult in zip(truth.boxes, truth.names, truth.difficult, strict=True):
                label = classes.get(name.lower())
                if label is None:
                    self.unmapped[name] = self.unmapped.get(name, 0) + 1
                    continue
                self.names.setdefault(label, name.lower())
                self.counts[label] = self.counts.get(label, 0) + (not difficult)
                entries.append(dict(id=len(entries) + 1, image_id=image, category_id=label, iscrowd=int(difficult),
                                    **_coco_box(box)))
        if not entries:
            raise InputError(f'no annotated class is one the detector knows: annotated are '
                             f'{", ".join(self.unmapped) or "none at all"}; the detector knows '
                             f'{", ".join(sorted(classes))}')
        self.number = len(truths)
        self._truth = COCO()
        self._truth.dataset = dict(info={}, images=[dict(id=i + 1, width=t.width, height=t.height)
                                                    for i, t in enumerate(truths)],
                                   categories=[dict(id=label, name=name) for label, name in self.names.items()],
                                   annotations=entries)
        with contextlib.redirect_stdout(io.StringIO()):  # it reports each step
            self._truth.createIndex()

    def match(self, results: Sequence[dict[str, Any]]) -> Any:
        """Match detections with the truth.

        Args:
            results (list[dict]): Of :func:`~restorekit.evaluation.detectors.detect`, one per image.

        Returns:
            object: For :meth:`summary` and :meth:`bootstrap`.
        """
        from pycocotools.cocoeval import COCOeval
        if len(results) != self.number:
            raise ValueError(f'{len(results)} results for {self.number} images')
        rows = [[image, *box[:2], box[2] - box[0], box[3] - box[1], score, label]
                for image, result in enumerate(results, 1)
                for box, score, label in zip(result['boxes'], result['scores'], result['labels'], strict=True)
                if int(label) in self.names]
        with contextlib.redirect_stdout(io.StringIO()):
            if rows:
                found = self._truth.loadRes(np.array(rows, np.float64))
            else:
                found = type(self._truth)()
                found.dataset = dict(self._truth.dataset, annotations=[])
                found.createIndex()
            matched = COCOeval(self._truth, found, 'bbox')
            matched.params.areaRng, matched.params.areaRngLbl = [[0, 1e10]], ['all']
            matched.params.maxDets = [100]
            matched.evaluate()
        return matched

    def summary(self, matched: Any, images: np.ndarray | None = None) -> dict[str, Any]:
        """Return mean and per-class average precision.

        Args:
            matched: Of :meth:`match`.
            images (ndarray, optional): Score these images (indices, may repeat) instead of all.

        Returns:
            dict: ``map50`` (IoU 0.5), ``map`` (mean over IoU 0.5, 0.55 ... 0.95), both in [0, 1], and ``classes``:
            ``{name: dict(boxes, ap50, ap)}``; a class without scored boxes has None and does not count; without any
            both are None.
        """
        every = matched.evalImgs
        if images is not None:
            matched.evalImgs = list(np.array(every, object).reshape(-1, self.number)[:, images].ravel())
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                matched.accumulate()
        finally:
            matched.evalImgs = every
        precision = matched.eval['precision'][..., 0, 0]  # IoU, recall, class; -1: no truth
        classes = {}
        for k, label in enumerate(matched.params.catIds):
            curve = precision[:, :, k]
            there = curve[0, 0] >= 0
            classes[self.names[label]] = dict(boxes=self.counts[label], ap50=_mean(curve[0]) if there else None,
                                              ap=_mean(curve) if there else None)
        measured = [value for value in classes.values() if value['ap'] is not None]
        return dict(map50=_mean([value['ap50'] for value in measured]), map=_mean([value['ap'] for value in measured]),
                    classes=classes)

    def bootstrap(self, sides: dict[str, Any], draws: int = 200, seed: int = 0
                  ) -> dict[str, dict[Any, tuple[float, float]]]:
        """Bootstrap average precisions, and their gains over the first side, over images.

        All sides are scored on the same images, drawn with replacement.

        Args:
            sides (dict[str, object]): Of :meth:`match`, by name; the first is what the others are compared with.
            draws (int): Number of draws.
            seed (int): Of the draws.

        Returns:
            dict[str, dict[str, tuple]]: By side and measure (``map50``, ``map``, and each class's name for its AP at
            IoU 0.5) the 2.5 and 97.5 % quantiles of the value and, as ``(measure, 'gain')``, of its difference to the
            first side. What no draw has a scored box for is missing.
        """
        random = np.random.default_rng(seed)
        found = {name: {} for name in sides}
        for _ in range(draws):
            images = random.integers(0, self.number, self.number)
            values = {name: flat(self.summary(matched, images)) for name, matched in sides.items()}
            first = next(iter(values.values()))
            for name, side in values.items():
                for key, value in side.items():
                    if value is not None:
                        found[name].setdefault(key, []).append(value)
                        found[name].setdefault((key, 'gain'), []).append(value - first[key])
        return {name: {key: tuple(map(float, np.quantile(values, [0.025, 0.975]))) for key, values in side.items()}
                for name, side in found.items()}


def flat(summary: dict[str, Any]) -> dict[str, Any]:
    """Return a summary's numbers by measure: ``map50``, ``map``, and each class's AP at IoU 0.5 under its name."""
    return dict(map50=summary['map50'], map=summary['map'],
                **{name: one['ap50'] for name, one in summary['classes'].items()})


def _coco_box(box: Sequence[float]) -> dict[str, Any]:
    width, height = box[2] - box[0], box[3] - box[1]
    return dict(bbox=[box[0], box[1], width, height], area=width * height)


def _mean(values: Any) -> float | None:
    # pycocotools divides by the number of detections + 2e-16; without that a perfect score is 1
    return round(float(np.mean(values)), 12) if len(values) else None


def format_detection(found: dict[str, Any]) -> str:
    """Return the result of :func:`restorekit.tasks.detect_compare.detect_compare` as a Markdown table, in percent, with
    notes below.
    """
    lines = [['', 'boxes', *(title for name in found['rows'][0]['sides']
                             for title in ([name] if name == 'hazy' else [name, 'gain']))]]
    for row in found['rows']:
        line = [row['measure'], row['boxes']]
        for name, side in row['sides'].items():
            line.append(_percent(side['value'], side['interval'] if name == 'hazy' else None))
            if name != 'hazy':
                line.append(_percent(side['gain'], side['gain_interval'], '+'))
        lines.append(line)
    notes = [f'{found["images"]} photos, {found["boxes"]} boxes scored, {found["difficult"]} difficult ones ignored; '
             f'average precision in percent, with 95 % intervals over photos; detector {found["detector"]}']
    if found['unmapped']:
        listed = ', '.join(f'{name} ({count})' for name, count in found['unmapped'].items())
        notes.append(f'Not scored, since the detector does not know these classes: {listed}')
    if found['photos_without_annotation'] or found['annotations_without_photo']:
        notes.append(f'Left out: {found["photos_without_annotation"]} photos without annotation, '
                     f'{found["annotations_without_photo"]} annotations without photo')
    return '\n'.join([markdown_table(lines), '', *notes])


def _percent(value: float | None, interval: Sequence[float] | None, sign: str = '') -> str:
    if value is None:
        return '-'
    ends = f' ({100 * interval[0]:{sign}.1f} to {100 * interval[1]:{sign}.1f})' if interval else ''
    return f'{100 * value:{sign}.1f}{ends}'

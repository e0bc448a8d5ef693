"""Measure whether restoration helps a detector: average precision on hazy photos as they are and restored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from restorekit.datasets.voc import AnnotationError, VOCBoxes, find_voc, read_voc
from restorekit.evaluation.detection import DetectionScore, class_indices, flat
from restorekit.evaluation.detectors import DEFAULT, build_detector, detect
from restorekit.files.image_io import read_image, write_image
from restorekit.functional.classic import clahe
from restorekit.messages import InputError, MissingFileError, refuse_unused, unknown_name_message
from restorekit.visualization import contact_sheet

FOUND, TRUE = (230, 40, 30), (40, 200, 60)  # colours of boxes in pictures
SURE = 0.5  # boxes of this score or more are drawn
HEIGHT = 480  # of a photo in a picture, in pixels
Restore = Callable[[np.ndarray], np.ndarray]


def _dark_channel_prior(device: str) -> Restore:
    from restorekit.inference import load
    restore: Restore = load('dcp', device=device).restore
    return restore


#: Classical methods to compare with: by name, what makes one for a device.
BASELINES: dict[str, Callable[[str], Restore]] = dict(clahe=lambda device: clahe, dcp=_dark_channel_prior)
TITLES = dict(map50='mAP@0.5', map='mAP@[.5:.95]')


def detect_compare(images: str | Path, annotations: str | Path, *, model: str | Path | None = None,
                   checkpoint: str | Path | None = None, config: str | Path | None = None,
                   baselines: Sequence[str] = (), detector: str = DEFAULT,
                   detector_weights: str | Path | None = None, detector_options: Mapping[str, Any] | None = None,
                   device: str | None = None, listed: str | Path | None = None, every: int = 1, bootstrap: int = 200,
                   out: str | Path | None = None, pictures: int = 6,
                   progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
    """Run a detector on hazy photos and on the same photos restored, and score what it finds.

    Args:
        images (str | Path): Folder of hazy photos.
        annotations (str | Path): Folder of their boxes, PASCAL VOC XML files of the photos' names.
        model (str | Path, optional): Restore with this one, a name or a checkpoint, see :func:`restorekit.load`.
            Without a model or checkpoint only the photos as they are (and the baselines) are scored.
        checkpoint (str | Path, optional): A checkpoint, instead of a model.
        config (str | Path, optional): Config the network is built from; default: what the checkpoint says.
        baselines (Sequence[str]): Classical methods to score beside it: 'clahe', 'dcp' (the dark channel prior, the
            model of that name).
        detector (str): An ONNX file or a detection model of torchvision, see
            :func:`restorekit.evaluation.detectors.build_detector`.
        detector_weights (str | Path, optional): Weights of a torchvision model; default: downloaded once.
        detector_options (Mapping, optional): Of an ONNX file, see ``OnnxDetector``.
        device (str, optional): 'cpu', 'cuda', ...; default: CUDA if there is one.
        listed (str | Path, optional): Score only the photos of this list, one name a line, as ``ann_file`` of the
            datasets; see :func:`~restorekit.datasets.list_file.read_list`.
        every (int): Use every N-th photo by name, starting with the first.
        bootstrap (int): Draws for the 95 % intervals over photos; 0: none.
        out (str | Path, optional): Write pictures with boxes to this folder.
        pictures (int): How many photos to draw, spread evenly.
        progress (Callable, optional): Called with (photos done, photos) after each.

    Returns:
        dict: ``rows``, one dict per measure (mAP@0.5, mAP@[.5:.95], then AP@0.5 of each class, most frequent first):
        ``measure``, ``boxes`` and ``sides``, by side ('hazy', 'restored', and the baselines' names) a dict of ``value``
        in [0, 1] or None, ``interval`` (low, high) or None and, but for hazy, ``gain`` and ``gain_interval``. Besides
        ``images``, ``boxes``, ``difficult``, ``unmapped`` (annotated classes the detector does not know, with their
        number), ``photos_without_annotation``, ``annotations_without_photo``, ``detector``, ``model`` (or checkpoint).

    Raises:
        MissingFileError: If a folder, the list or a photo of it, the checkpoint or the detector is not there.
        InputError: For an unknown baseline or detector, or if no annotated class is one the detector knows.
        AnnotationError: If an annotation cannot be read or is for a photo of another size.
        MissingDependencyError: Without pycocotools, or onnxruntime for an ONNX file.

    Example:
        >>> found = detect_compare('photos', 'voc', detector='centernet.onnx', baselines=['clahe'])  # doctest: +SKIP
        >>> found['rows'][2]['sides']['clahe']['gain']  # doctest: +SKIP
        0.067
    """
    if model is not None and checkpoint is not None:
        raise InputError(f'give a model ({model}) or a checkpoint ({checkpoint}), not both')
    if config is not None and checkpoint is None:
        raise InputError('config says how the network of a checkpoint is built; give the checkpoint too')
    for name in baselines:
        if name not in BASELINES:
            raise InputError(unknown_name_message(name, BASELINES, 'list of baselines'))
    for what, number, least in (('every', every, 1), ('bootstrap', bootstrap, 0), ('pictures', pictures, 0)):
        if number < least:
            raise InputError(f'{what} must be at least {least}, but got {number}')
    if out is None:
        refuse_unused(detect_compare, dict(pictures=pictures), 'a folder in out', 'no out')
    if not Path(images).is_dir():
        raise MissingFileError(f'no folder {Path(images).absolute()} of photos')
    given, device = device, device or ('cuda' if torch.cuda.is_available() else 'cpu')
    pairs, lone_photos, lone_files = find_voc(images, annotations, listed)
    pairs = pairs[::every]
    truths = [read_voc(file) for _, file in pairs]
    finder, categories = build_detector(detector, detector_weights, device, **(detector_options or {}))
    score = DetectionScore(truths, class_indices(categories))
    methods: dict[str, Restore] = {}
    if checkpoint is not None:
        from restorekit.inference import RestorationPipeline
        methods['restored'] = RestorationPipeline(checkpoint, config=config, device=given).restore
    elif model is not None:
        from restorekit.inference import load
        methods['restored'] = load(model, device=given).restore  # an ONNX file runs on the CPU by default
    methods.update({name: BASELINES[name](device) for name in baselines})
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in ('hazy', *methods)}
    drawn = {k * len(pairs) // max(pictures, 1) for k in range(min(pictures, len(pairs)))} if out is not None else set()
    for number, ((photo, file), truth) in enumerate(zip(pairs, truths, strict=True)):
        image = read_image(photo)
        if image.shape[:2] != (truth.height, truth.width):
            raise AnnotationError(f'{file} is for an image of {truth.width}x{truth.height} pixels, but {photo} has '
                                  f'{image.shape[1]}x{image.shape[0]}')
        views = {'hazy': image, **{name: restore(image) for name, restore in methods.items()}}
        for name, view in views.items():
            results[name].append(detect(finder, view, device))
        if number in drawn:
            _draw(Path(str(out), f'{number:04d}_{photo.stem}.png'), views,
                  {name: found[-1] for name, found in results.items()}, truth, score.names)
        if progress is not None:
            progress(number + 1, len(pairs))
    return dict(rows=_rows(score, results, bootstrap), images=len(pairs), boxes=sum(score.counts.values()),
                difficult=sum(map(sum, (truth.difficult for truth in truths))), unmapped=score.unmapped,
                photos_without_annotation=lone_photos, annotations_without_photo=lone_files, detector=str(detector),
                model=str(model or checkpoint) if model or checkpoint else None)


def _rows(score: DetectionScore, results: dict[str, list[dict[str, Any]]], draws: int) -> list[dict[str, Any]]:
    matched = {name: score.match(found) for name, found in results.items()}
    values = {name: flat(score.summary(found)) for name, found in matched.items()}
    intervals = score.bootstrap(matched, draws) if draws else {name: {} for name in matched}
    counts = {score.names[label]: count for label, count in score.counts.items()}
    rows = []
    for key in ['map50', 'map', *sorted(counts, key=lambda name: -counts[name])]:
        sides = {}
        for name, side in values.items():
            first, value = values['hazy'][key], side[key]
            sides[name] = dict(value=value, interval=intervals[name].get(key))
            if name != 'hazy':
                sides[name].update(gain=None if value is None else value - first,
                                   gain_interval=intervals[name].get((key, 'gain')))
        rows.append(dict(measure=TITLES.get(key, f'{key} AP@0.5'), boxes=counts.get(key, sum(counts.values())),
                         sides=sides))
    return rows


def _draw(path: Path, views: dict[str, np.ndarray], results: dict[str, dict[str, Any]], truth: VOCBoxes,
          names: dict[int, str]) -> None:
    """Write one photo's views side by side: true boxes green, found ones of a sure score red."""
    row = []
    for name, image in views.items():
        scale = HEIGHT / image.shape[0]
        picture = cv2.resize(image, (max(round(image.shape[1] * scale), 1), HEIGHT), interpolation=cv2.INTER_AREA)
        for box in truth.boxes:
            _draw_box(picture, box, scale, TRUE, 1)
        result = results[name]
        for box, label, sure in zip(result['boxes'], result['labels'], result['scores'], strict=True):
            if sure >= SURE and int(label) in names:
                _draw_box(picture, box, scale, FOUND, 2, f'{names[int(label)]} {sure:.2f}')
        row.append(picture)
    titles = [f'hazy: true boxes green, found ones (score {SURE} or more) red', *list(views)[1:]]
    write_image(path, contact_sheet([row], titles, height=HEIGHT))


def _draw_box(picture: np.ndarray, box: Sequence[float], scale: float, colour: tuple[int, int, int], thickness: int,
              text: str = '') -> None:
    x0, y0, x1, y1 = (round(float(x) * scale) for x in box)
    cv2.rectangle(picture, (x0, y0), (x1, y1), colour, thickness)
    if text:
        cv2.putText(picture, text, (x0, max(y0 - 4, 10)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)

"""Detectors: those of torchvision, and ONNX files with a CenterNet-style or YOLO-style head.

A detector is any callable ``detector(images) -> results``: ``images`` is a list of float (3, H, W) RGB tensors in
[0, 1], and a result is ``dict(boxes=(n, 4) xmin ymin xmax ymax in pixels, labels=(n,) ints, scores=(n,))``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from restorekit.messages import (
    InputError,
    InputTypeError,
    MissingDependencyError,
    MissingFileError,
    unknown_name_message,
)

Detector = Callable[[list[torch.Tensor]], Sequence[dict[str, Any]]]

DEFAULT = 'fasterrcnn_mobilenet_v3_large_320_fpn'
NMS_OVERLAP = 0.6  # boxes of one class that overlap more are one object, where a head needs that


def build_detector(name: str = DEFAULT, weights: str | Path | None = None, device: str = 'cpu',
                   **options: Any) -> tuple[Detector, list[str]]:
    """Build a detector: an ONNX file, or a detection model of torchvision trained on COCO.

    Args:
        name (str): A file ``*.onnx`` (see :class:`OnnxDetector`), or any of torchvision's detection models that has
            COCO weights.
        weights (str | Path, optional): File of a torchvision model's weights, read without running code from it.
            Default: what torchvision downloads, once, into ``torch.hub``'s folder.
        device (str): Where to put a torchvision model.
        **options: Of an ONNX file, the arguments of :class:`OnnxDetector`.

    Returns:
        tuple: The detector, in eval mode, and the list of its category names.

    Raises:
        InputError: For an unknown name (gives the nearest), a file of another detector's weights, or an option that
            does not belong.
        MissingFileError: If the file is not there, or the weights are neither here nor downloadable.
        MissingDependencyError: For an ONNX file without onnxruntime; names the extra.
    """
    if str(name).endswith('.onnx'):
        if weights is not None:
            raise InputError(f'an ONNX file holds its weights; {name} needs no detector weights, but got {weights}')
        known = ('head', 'size', 'scale', 'categories', 'threshold')
        for option in options:
            if option not in known:
                raise InputError(unknown_name_message(option, known, 'options of an ONNX detector'))
        detector = OnnxDetector(name, **options)
        return detector, detector.categories
    if options:
        raise InputError(f'options of a detector are for ONNX files, but got {", ".join(options)} for {name}')
    return _torchvision_detector(name, weights, device)


def _torchvision_detector(name: str, weights: str | Path | None, device: str) -> tuple[Detector, list[str]]:
    from torchvision.models import detection, get_model, get_model_weights, list_models

    from restorekit.checkpoint import load_checkpoint_file, network_state
    known = list_models(module=detection)
    if name not in known:
        raise InputError(unknown_name_message(name, known, 'detectors of torchvision'))
    default = get_model_weights(name).DEFAULT
    state = _download(name, default.url) if weights is None else network_state(load_checkpoint_file(weights), weights)
    # torchvision builds a detector differently when it is given weights (frozen statistics, their epsilon); these
    # are handed over in place of those it would unpickle
    with mock.patch.object(type(default), 'get_state_dict', lambda self, *args, **kwargs: state):
        try:
            model = get_model(name, weights=default, progress=False)
        except (RuntimeError, KeyError) as error:
            raise InputError(f'{weights or default.url} does not hold the weights of {name}: '
                             f'{str(error)[:300]}') from error
    return model.to(device).eval().requires_grad_(False), list(default.meta['categories'])


def _download(name: str, url: str) -> Any:
    target = Path(torch.hub.get_dir(), 'checkpoints', url.rpartition('/')[2])
    try:
        return torch.hub.load_state_dict_from_url(url, map_location='cpu', check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise MissingFileError(f'the weights of {name} are not here and could not be downloaded ({error}). Get {url} '
                               f'where there is a network, then either put the file at {target} or name it with '
                               '--detector-weights FILE') from error


class OnnxDetector:
    """A detector in an ONNX file with one image input (1, 3, H, W) RGB.

    The photo is scaled to fit the input, its aspect kept, and centred in it on black. The head is told from the
    shapes of the outputs:

    - ``'centernet'`` (Zhou et al., 2019; TTFNet, Liu et al., 2020): a heat map of classes (1, C, h, w) in [0, 1] and,
      in input pixels, sizes (1, 2, h, w) or distances to the left, upper, right and lower side (1, 4, h, w); with a
      third output of 2 channels, offsets in cells. An object is a cell that equals the maximum of its 3 x 3 cells; the
      stride is the input's height over h.
    - ``'yolo'``: (1, 4 + C, n), or (1, n, 5 + C) with an objectness that multiplies the classes; boxes are centre and
      size in input pixels. Overlapping boxes of one class are thinned out.

    Args:
        path (str | Path): The file.
        head (str): 'auto', 'centernet' or 'yolo'.
        size (int, optional): Height and width of the input in pixels; default: what the file says, or 512 for CenterNet
            and 640 for YOLO where it is free.
        scale (float, optional): White in the input; default: 255 for CenterNet, 1 for YOLO.
        categories (Sequence[str], optional): Class names in the order of the channels; default: ``names`` in the file's
            metadata, or COCO's 80 classes for 80 channels.
        threshold (float): Objects of a lower score are not returned.

    Raises:
        MissingFileError: If there is no such file.
        MissingDependencyError: Without onnxruntime; names the extra.
        InputError: If the file is not a model, or its input or outputs are of no known head.

    Example:
        >>> detector = OnnxDetector('centernet.onnx')  # doctest: +SKIP
        >>> detector([torch.rand(3, 480, 640)])[0]['boxes'].shape  # doctest: +SKIP
        torch.Size([100, 4])
    """

    def __init__(self, path: str | Path, head: str = 'auto', size: int | None = None, scale: float | None = None,
                 categories: Sequence[str] | None = None, threshold: float = 0.01) -> None:
        if not Path(path).is_file():
            raise MissingFileError(f'no detector {path}')
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as errors
        except ImportError as error:
            raise MissingDependencyError('an ONNX detector needs onnxruntime: python -m pip install '
                                         '"restorekit[export]"') from error
        if head not in ('auto', 'centernet', 'yolo'):
            raise InputError(f"the head of a detector must be one of 'auto', 'centernet', 'yolo', but got {head!r}")
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        settings.intra_op_num_threads = torch.get_num_threads()
        try:
            self.session = onnxruntime.InferenceSession(str(path), settings, providers=['CPUExecutionProvider'])
        except (errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf, errors.NoModel,
                errors.NotImplemented, errors.RuntimeException) as error:
            raise InputError(f'{path} cannot be read as an ONNX model: {str(error)[:300]}') from error
        given = self.session.get_inputs()
        if len(given) != 1 or len(given[0].shape) != 4 or given[0].shape[1] not in (3, None) and \
                not isinstance(given[0].shape[1], str):
            raise InputError(f'{path}: a detector takes one image (1, 3, H, W), but the model takes '
                             f'{", ".join(str(one.shape) for one in given)}')
        ranks = [len(one.shape) for one in self.session.get_outputs()]
        self.path, self.threshold = Path(path), threshold
        self.head = head if head != 'auto' else 'yolo' if ranks == [3] else 'centernet'
        fixed = [side if isinstance(side, int) else size or (640 if self.head == 'yolo' else 512)
                 for side in given[0].shape[2:]]
        self.height, self.width = fixed
        self.scale = float(scale or (1 if self.head == 'yolo' else 255))
        self._categories = list(categories) if categories else self._named()
        outputs = self._run(np.zeros((1, 3, self.height, self.width), np.float32))
        self.categories = self._match_categories(outputs)

    def __call__(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        """Detect objects; see the module."""
        return [self._detect(image) for image in images]

    def _detect(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        height, width = image.shape[-2:]
        ratio = min(self.height / height, self.width / width)
        inner = max(round(width * ratio), 1), max(round(height * ratio), 1)
        pixels = cv2.resize((image.cpu() * self.scale).permute(1, 2, 0).contiguous().numpy(), inner)
        left, top = (self.width - inner[0]) // 2, (self.height - inner[1]) // 2
        canvas = np.zeros((1, 3, self.height, self.width), np.float32)
        canvas[0, :, top:top + inner[1], left:left + inner[0]] = pixels.transpose(2, 0, 1)
        outputs = self._run(canvas)
        boxes, labels, scores = _read_yolo(outputs, len(self.categories), self.threshold) if self.head == 'yolo' else \
            _read_centernet(outputs, self.height, self.threshold)
        boxes = boxes - boxes.new_tensor([left, top] * 2)
        boxes = boxes / boxes.new_tensor([inner[0] / width, inner[1] / height] * 2)
        limits = boxes.new_tensor([width, height] * 2)
        return dict(boxes=boxes.clamp(min=0).minimum(limits), labels=labels, scores=scores)

    def _run(self, canvas: np.ndarray) -> list[torch.Tensor]:
        found = self.session.run(None, {self.session.get_inputs()[0].name: canvas})
        return [torch.from_numpy(np.asarray(one, np.float32)) for one in found]

    def _named(self) -> list[str] | None:
        """The class names in the file's metadata, as YOLO's exporters write them: a dict or a list as Python text."""
        text = self.session.get_modelmeta().custom_metadata_map.get('names', '')
        try:
            names = ast.literal_eval(text[:100000])
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
        return [str(name) for name in (names.values() if isinstance(names, dict) else names)] \
            if isinstance(names, dict | list | tuple) else None

    def _match_categories(self, outputs: list[torch.Tensor]) -> list[str]:
        shapes = ', '.join(str(tuple(one.shape)) for one in outputs)
        wrong = InputError(f'{self.path}: the outputs {shapes} are of no {self.head} head; see OnnxDetector for the '
                           'heads that are known')
        if self.head == 'yolo':
            if len(outputs) != 1 or outputs[0].ndim != 3:
                raise wrong
            channels = min(outputs[0].shape[1:])
            counts = [channels - 4] if outputs[0].shape[1] == channels else [channels - 5]
        else:
            if not 2 <= len(outputs) <= 3 or any(one.ndim != 4 for one in outputs) or \
                    len({one.shape[2:] for one in outputs}) > 1 or not {one.shape[1] for one in outputs[1:]} <= {2, 4}:
                raise wrong
            counts = [outputs[0].shape[1]]
        names = self._categories or (_coco_names() if counts[0] == 80 else None)
        if names is None or len(names) != counts[0]:
            raise InputError(f'{self.path} tells {counts[0]} classes apart, but '
                             f'{f"{len(names)} names" if names else "no names"} are known; give categories')
        return names


def _read_centernet(outputs: list[torch.Tensor], height: int, threshold: float) \
        -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    heat, sides, *more = outputs
    peaks = heat[0] * (heat[0] == F.max_pool2d(heat, 3, 1, 1)[0])
    labels, rows, columns = (peaks >= threshold).nonzero(as_tuple=True)
    scores = peaks[labels, rows, columns]
    stride = height / heat.shape[2]
    shift = more[0][0, :, rows, columns] if more else torch.zeros(2, len(rows))
    x, y = (columns + shift[0]) * stride, (rows + shift[1]) * stride
    found = sides[0, :, rows, columns]
    left, top, right, bottom = found if len(found) == 4 else (found[0] / 2, found[1] / 2) * 2
    return torch.stack([x - left, y - top, x + right, y + bottom], dim=1), labels, scores


def _read_yolo(outputs: list[torch.Tensor], classes: int, threshold: float) \
        -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    from torchvision.ops import batched_nms
    found = outputs[0][0]
    found = found.T if found.shape[0] < found.shape[1] else found
    every = found[:, -classes:] * (found[:, 4:5] if found.shape[1] == 5 + classes else 1)
    scores, labels = every.max(dim=1)
    kept = scores >= threshold
    found, scores, labels = found[kept], scores[kept], labels[kept]
    boxes = torch.cat([found[:, :2] - found[:, 2:4] / 2, found[:, :2] + found[:, 2:4] / 2], dim=1)
    order = batched_nms(boxes, scores, labels, NMS_OVERLAP)
    return boxes[order], labels[order], scores[order]


def _coco_names() -> list[str]:
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights
    names = FasterRCNN_ResNet50_FPN_Weights.DEFAULT.meta['categories']
    return [name for name in names if name not in ('N/A', '__background__')]


def detect(detector: Detector, image: np.ndarray, device: str = 'cpu') -> dict[str, np.ndarray]:
    """Run a detector on one uint8 (H, W, 3) RGB image; returns its result as float64 and int64 arrays.

    Raises:
        InputTypeError: If the detector returns something else than the module says.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).to(device).float() / 255
    with torch.no_grad():
        result = detector([tensor])[0]
    try:
        found = {key: np.asarray(torch.as_tensor(result[key]).cpu(), kind)
                 for key, kind in dict(boxes=np.float64, labels=np.int64, scores=np.float64).items()}
    except (KeyError, TypeError) as error:
        raise InputTypeError('a detector returns a list of dict(boxes, labels, scores), one per image, but got '
                             f'{type(result).__name__}: {error}') from error
    found['boxes'] = found['boxes'].reshape(-1, 4)
    if not len(found['boxes']) == len(found['labels']) == len(found['scores']):
        raise InputTypeError(f'a detector gave {len(found["boxes"])} boxes, {len(found["labels"])} labels and '
                             f'{len(found["scores"])} scores for one image')
    return found

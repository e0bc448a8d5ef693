"""Does restoration help a machine? Detection on photos before and after, scored as COCO does.

Three parts that know nothing of each other: a detector is any callable ``detector(images) -> results``, where
``images`` is a list of float (3, H, W) RGB tensors in [0, 1] and a result is
``dict(boxes=(n, 4) xmin ymin xmax ymax in pixels, labels=(n,) ints, scores=(n,))``; ground truth is
:class:`~restorekit.datasets.voc.VOCBoxes`; :class:`DetectionScore` compares the two.
"""

import contextlib
import io
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from restorekit.messages import InputError, InputTypeError, MissingDependencyError, MissingFileError

# what VOC and road data sets call what COCO's detectors call otherwise
ALIASES = dict(motorbike='motorcycle', aeroplane='airplane', sofa='couch', tvmonitor='tv', diningtable='dining table',
               pottedplant='potted plant', pedestrian='person', people='person', rider='person', cyclist='person',
               bike='bicycle', lorry='truck')


def class_indices(categories):
    """Return ``{class name: label}`` of a detector's categories, with the names that VOC uses.

    Args:
        categories (list[str]): Name of each label; as COCO's lists may hold ``'N/A'`` and ``'__background__'``.

    Example:
        >>> class_indices(['__background__', 'person', 'motorcycle'])['motorbike']
        2
    """
    found = {name: label for label, name in enumerate(categories) if name not in ('N/A', '__background__')}
    return {**{alias: found[name] for alias, name in ALIASES.items() if name in found}, **found}


def build_detector(name='fasterrcnn_mobilenet_v3_large_320_fpn', weights=None, device='cpu'):
    """Build a torchvision detector trained on COCO.

    Args:
        name (str): Any of torchvision's detection models that has COCO weights.
        weights (str | Path, optional): File of its weights, read without running code from it. Default: what
            torchvision downloads, once, into ``torch.hub``'s folder.
        device (str): Where to put it.

    Returns:
        tuple: The detector (see the module), in eval mode, and the list of its category names.

    Raises:
        ValueError: For an unknown name (gives the nearest), or a file of another detector's weights.
        FileNotFoundError: If the weights are neither here nor downloadable; says where to get and to put them.
    """
    from torchvision.models import detection, get_model, get_model_weights, list_models

    from restorekit.checkpoint import load_checkpoint_file, network_state
    from restorekit.messages import unknown_name_message
    known = list_models(module=detection)
    if name not in known:
        raise InputError(unknown_name_message(name, known, 'detectors of torchvision'))
    default = get_model_weights(name).DEFAULT
    state = _download(name, default.url) if weights is None else network_state(load_checkpoint_file(weights))
    # torchvision builds a detector differently when it is given weights (frozen statistics, their epsilon); these
    # are handed over in place of those it would unpickle
    with mock.patch.object(type(default), 'get_state_dict', lambda self, *args, **kwargs: state):
        try:
            model = get_model(name, weights=default, progress=False)
        except (RuntimeError, KeyError) as error:
            raise InputError(f'{weights or default.url} does not hold the weights of {name}: '
                             f'{str(error)[:300]}') from error
    return model.to(device).eval().requires_grad_(False), list(default.meta['categories'])


def _download(name, url):
    target = Path(torch.hub.get_dir(), 'checkpoints', url.rpartition('/')[2])
    try:
        return torch.hub.load_state_dict_from_url(url, map_location='cpu', check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise MissingFileError(f'the weights of {name} are not here and could not be downloaded ({error}). Get {url} '
                               f'where there is a network, then either put the file at {target} or name it with '
                               '--detector-weights FILE') from error


def detect(detector, image, device='cpu'):
    """Run a detector on one uint8 (H, W, 3) RGB image; returns its result as float64 and int64 arrays.

    Raises:
        TypeError: If the detector returns something else than the module says.
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

    def __init__(self, truths, classes):
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

    def match(self, results):
        """Match detections with the truth.

        Args:
            results (list[dict]): Of :func:`detect`, one per image.

        Returns:
            object: For :meth:`summary` and :meth:`difference`.
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

    def summary(self, matched, images=None):
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

    def difference(self, before, after, draws=200, seed=0):
        """Bootstrap the gain in mAP over images: both sides are scored on the same images drawn with replacement.

        Returns:
            dict: ``map50`` and ``map``, each the 2.5 and 97.5 % quantiles of after minus before; None if no draw has a
            scored box.
        """
        random = np.random.default_rng(seed)
        gains = dict(map50=[], map=[])
        for _ in range(draws):
            images = random.integers(0, self.number, self.number)
            one, other = self.summary(before, images), self.summary(after, images)
            for key, values in gains.items():
                if one[key] is not None:
                    values.append(other[key] - one[key])
        return {key: [float(x) for x in np.quantile(values, [0.025, 0.975])] if values else None
                for key, values in gains.items()}


def _coco_box(box):
    width, height = box[2] - box[0], box[3] - box[1]
    return dict(bbox=[box[0], box[1], width, height], area=width * height)


def _mean(values):
    # pycocotools divides by the number of detections + 2e-16; without that a perfect score is 1
    return round(float(np.mean(values)), 12) if len(values) else None

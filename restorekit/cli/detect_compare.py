"""Measure whether restoration helps a detector: average precision on hazy photos before and after."""

import json
import sys
import time
from pathlib import Path

from .common import prepare_process

FOUND, TRUE = (230, 40, 30), (40, 200, 60)  # colours of boxes in pictures


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('--images', required=True, metavar='DIR', help='hazy photos')
    parser.add_argument('--annotations', required=True, metavar='DIR', help='their boxes as PASCAL VOC XML, of the '
                        'same names')
    parser.add_argument('--checkpoint', metavar='FILE', help='restore with this one; without it only the photos as '
                        'they are get scored')
    parser.add_argument('--config', metavar='CONFIG', help='config the network is built from; default: what the '
                        'checkpoint says')
    parser.add_argument('--detector', default='fasterrcnn_mobilenet_v3_large_320_fpn', metavar='NAME',
                        help='any detection model of torchvision (default %(default)s)')
    parser.add_argument('--detector-weights', metavar='FILE', help='its weights; default: downloaded once by torch.hub')
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ...; default: CUDA if there is one')
    parser.add_argument('--json', metavar='FILE', help='write the numbers as JSON')
    parser.add_argument('--out', metavar='DIR', help='write pictures with boxes before and after to this folder')
    parser.add_argument('--pictures', type=int, default=6, metavar='N', help='how many, spread evenly (default 6)')
    parser.add_argument('--bootstrap', type=int, default=200, metavar='N', help='draws for the 95 %% interval of the '
                        'difference over images (default 200; 0: none)')


def run(args):
    """Detect, score and print; returns the exit status."""
    from restorekit.config import ConfigError
    if args.config and not args.checkpoint:
        raise ConfigError('--config says how the network of --checkpoint is built; give --checkpoint FILE too')
    if not Path(args.images).is_dir():
        raise FileNotFoundError(f'--images: no folder {Path(args.images).absolute()} of photos')
    prepare_process('none')
    import torch

    from restorekit.datasets.voc import find_voc, read_voc
    from restorekit.evaluation.detection import DetectionScore, build_detector, class_indices
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    pairs, lone_photos, lone_files = find_voc(args.images, args.annotations)
    truths = [read_voc(file) for _, file in pairs]
    detector, categories = build_detector(args.detector, args.detector_weights, device)
    score = DetectionScore(truths, class_indices(categories))
    pipeline = None
    if args.checkpoint:
        from restorekit.inference import RestorationPipeline
        pipeline = RestorationPipeline(args.checkpoint, config=args.config, device=device)
    before, after = detect_all(pairs, truths, detector, pipeline and pipeline.restore, device, args.pictures,
                               args.out, score.names)
    record = evaluate(score, before, after, args.bootstrap)
    record.update(images=len(pairs), boxes=sum(score.counts.values()),
                  difficult=sum(map(sum, (truth.difficult for truth in truths))), unmapped=score.unmapped,
                  photos_without_annotation=lone_photos, annotations_without_photo=lone_files,
                  detector=args.detector, detector_weights=args.detector_weights, checkpoint=args.checkpoint)
    print(report(record))
    if args.json:
        from restorekit.files.atomic import atomic_write_text
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(json.dumps(record, indent=2, allow_nan=False) + '\n', args.json)
    if args.out:
        print(f'\nPictures: {args.out}')
    return 0


def detect_all(pairs, truths, detector, restore, device, pictures=0, out=None, names=None):
    """Detect on every photo as it is and, with ``restore``, restored.

    Args:
        pairs (list): (photo, annotation file).
        truths (list[VOCBoxes]): One per pair.
        detector (callable): See :mod:`restorekit.evaluation.detection`.
        restore (callable, optional): uint8 (H, W, 3) RGB to the same.
        device (str): Where the detector is.
        pictures (int): How many photos to draw, spread evenly.
        out (str, optional): Folder they go to; None draws none.
        names (dict[int, str], optional): Class name of each label, to be written beside boxes.

    Returns:
        tuple[list, list | None]: Results before and after.

    Raises:
        ValueError: If a photo has not the size its annotation says.
    """
    from restorekit.datasets.voc import AnnotationError
    from restorekit.evaluation.detection import detect
    from restorekit.files.image_io import read_image
    before, after, start = [], None if restore is None else [], time.time()
    drawn = {k * len(pairs) // max(pictures, 1) for k in range(min(pictures, len(pairs)))} if out else set()
    for number, ((photo, file), truth) in enumerate(zip(pairs, truths, strict=True)):
        image = read_image(photo)
        if image.shape[:2] != (truth.height, truth.width):
            raise AnnotationError(f'{file} is for an image of {truth.width}x{truth.height} pixels, but {photo} has '
                                  f'{image.shape[1]}x{image.shape[0]}')
        before.append(detect(detector, image, device))
        views = [(image, before[-1])]
        if restore is not None:
            restored = restore(image)
            after.append(detect(detector, restored, device))
            views.append((restored, after[-1]))
        if number in drawn:
            draw(Path(out, f'{number:04d}_{photo.stem}.png'), views, truth, names or {})
        if time.time() - start > 5 or number + 1 == len(pairs):
            start = time.time()
            print(f'{number + 1} of {len(pairs)} photos', file=sys.stderr, flush=True)
    return before, after


def evaluate(score, before, after=None, draws=200):
    """Score both sides; returns ``dict(before, after, difference)``, the last two where there is an after."""
    matched = score.match(before)
    record = dict(before=score.summary(matched))
    if after is not None:
        other = score.match(after)
        record['after'] = score.summary(other)
        record['difference'] = {key: None if record['before'][key] is None else
                                record['after'][key] - record['before'][key] for key in ('map50', 'map')}
        if draws:
            record['interval'] = score.difference(matched, other, draws)
    return record


def report(record):
    """Format the numbers as a Markdown table, in percent."""
    from restorekit.text_table import markdown_table
    both = 'after' in record
    rows = [['', 'boxes', 'before', *(['after', 'difference', '95 % interval'] if both else [])]]
    for key, title in (('map50', 'mAP@0.5'), ('map', 'mAP@[.5:.95]')):
        row = [title, str(record['boxes']), _percent(record['before'][key])]
        if both:
            interval = record.get('interval', {}).get(key)
            row += [_percent(record['after'][key]), _percent(record['difference'][key], '+'),
                    f'{_percent(interval[0], "+")} to {_percent(interval[1], "+")}' if interval else '-']
        rows.append(row)
    for name, one in sorted(record['before']['classes'].items(), key=lambda item: -item[1]['boxes']):
        row = [f'{name} AP@0.5', str(one['boxes']), _percent(one['ap50'])]
        if both:
            other = record['after']['classes'][name]['ap50']
            row += [_percent(other), '-' if other is None else _percent(other - one['ap50'], '+'), '']
        rows.append(row)
    notes = [f'{record["images"]} photos, {record["boxes"]} boxes scored, {record["difficult"]} difficult ones '
             f'ignored; in percent; detector {record["detector"]}']
    if record['unmapped']:
        listed = ', '.join(f'{name} ({count})' for name, count in record['unmapped'].items())
        notes.append(f'Not scored, since the detector does not know these classes: {listed}')
    if record['photos_without_annotation'] or record['annotations_without_photo']:
        notes.append(f'Left out: {record["photos_without_annotation"]} photos without annotation, '
                     f'{record["annotations_without_photo"]} annotations without photo')
    return '\n'.join([markdown_table(rows), '', *notes])


def _percent(value, sign=''):
    return '-' if value is None else f'{100 * value:{sign}.1f}'


def draw(path, views, truth, names):
    """Write one photo's views side by side: true boxes green, found ones of score 0.5 or more red."""
    import cv2

    from restorekit.files.image_io import write_image
    from restorekit.visualization import contact_sheet
    row = []
    for image, result in views:
        scale = 480 / image.shape[0]
        picture = cv2.resize(image, (max(round(image.shape[1] * scale), 1), 480), interpolation=cv2.INTER_AREA)
        for box in truth.boxes:
            _box(picture, box, scale, TRUE, 1)
        for box, label, sure in zip(result['boxes'], result['labels'], result['scores'], strict=True):
            if sure >= 0.5 and int(label) in names:
                _box(picture, box, scale, FOUND, 2, f'{names[int(label)]} {sure:.2f}')
        row.append(picture)
    titles = ['hazy: true boxes green, found ones (score 0.5 or more) red', 'restored'][:len(row)]
    write_image(path, contact_sheet([row], titles, height=480))


def _box(picture, box, scale, colour, thickness, text=''):
    import cv2
    x0, y0, x1, y1 = (round(float(x) * scale) for x in box)
    cv2.rectangle(picture, (x0, y0), (x1, y1), colour, thickness)
    if text:
        cv2.putText(picture, text, (x0, max(y0 - 4, 10)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)

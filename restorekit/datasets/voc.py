"""Boxes in PASCAL VOC's XML, and the photos they belong to."""

import math
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.parsers import expat

from restorekit.files.reader import read_file
from restorekit.messages import InputError, MissingFileError

from .list_file import read_list
from .scanner import scan_images

MAX_BYTES = 2 ** 26  # of an annotation file


class AnnotationError(InputError):
    """A file that should hold VOC boxes does not; the message names it."""


class VOCBoxes(NamedTuple):
    """The objects of one photo: size in pixels, and per object its box, class name and whether it is difficult."""

    width: int
    height: int
    boxes: list
    names: list
    difficult: list


def read_voc(path):
    """Read one annotation file.

    Entities and document types are refused, so no file can make the parser read another one or fill the memory.

    Args:
        path (str | Path): The XML file.

    Returns:
        VOCBoxes: ``boxes`` are ``(xmin, ymin, xmax, ymax)`` in pixels as written, except that VOC's first pixel may be
        1 or 0: the difference is below what any detector is scored on. An object whose ``difficult`` is missing,
        empty or 'Unspecified' is not.

    Raises:
        FileNotFoundError: If there is no such file.
        AnnotationError: If it is not XML, has a document type, or its size or a box makes no sense.

    Example:
        >>> read_voc('foggy-001.xml').names  # doctest: +SKIP
        ['car']
    """
    path = Path(path)
    data = read_file(path, MAX_BYTES, 'annotation file')
    try:
        _refuse_document_type(data, path)
        root = ElementTree.fromstring(data)
    except (expat.ExpatError, ElementTree.ParseError, ValueError, LookupError) as error:
        if isinstance(error, AnnotationError):
            raise
        raise AnnotationError(f'{path} is not valid XML ({error}); write it again') from error
    if root.tag != 'annotation':
        raise AnnotationError(f'{path} is not a VOC annotation: its root is <{root.tag}>, not <annotation>')
    width, height = (_number(root, f'size/{key}', path, 'the image') for key in ('width', 'height'))
    if width < 1 or height < 1 or width != int(width) or height != int(height):
        raise AnnotationError(f'{path} says that its image is {width:g}x{height:g} pixels; write the true size into '
                              '<size>')
    boxes, names, difficult = [], [], []
    for number, item in enumerate(root.iterfind('object'), 1):
        where = f'object {number}'
        name = (item.findtext('name') or '').strip()
        if not name:
            raise AnnotationError(f'{path}: {where} has no <name>')
        box = tuple(_number(item, f'bndbox/{key}', path, where) for key in ('xmin', 'ymin', 'xmax', 'ymax'))
        # one pixel of tolerance: files count from 0 or from 1
        if not (-1 <= box[0] < box[2] <= width + 1 and -1 <= box[1] < box[3] <= height + 1):
            raise AnnotationError(f'{path}: the box of {where} ({name}), {" ".join(f"{x:g}" for x in box)} (xmin ymin '
                                  f'xmax ymax), is empty or leaves the image of {width:g}x{height:g}')
        boxes.append(box)
        names.append(name)
        stated = (item.findtext('difficult') or '').strip().lower() not in ('', 'unspecified')
        difficult.append(stated and _number(item, 'difficult', path, where) != 0)
    return VOCBoxes(int(width), int(height), boxes, names, difficult)


def find_voc(images, annotations, listed=None):
    """Pair photos with annotation files of the same stem (path below the folder, without suffix).

    Args:
        images (str | Path): Folder of photos.
        annotations (str | Path): Folder of XML files.
        listed (str | Path, optional): Take only the photos of this list, see
            :func:`~restorekit.datasets.list_file.read_list`.

    Returns:
        tuple[list, int, int]: ``[(photo, annotation file), ...]`` by name, how many of the photos have no annotation,
        and how many annotations no photo in the folder.

    Raises:
        FileNotFoundError: If a folder is missing or empty, a listed photo is not there, or nothing pairs; names the
            first of both kinds.
        ValueError: If two photos have the same stem.
    """
    annotations = Path(annotations)
    if not annotations.is_dir():
        raise MissingFileError(f'no folder {annotations.absolute()} of annotations')
    photos = {}
    for name in scan_images(images):
        stem = name[:name.rfind('.')]
        if stem in photos:
            raise InputError(f'{photos[stem]} and {name} in {images} would share one annotation; rename one')
        photos[stem] = name
    files = {path.relative_to(annotations).with_suffix('').as_posix(): path for path in annotations.rglob('*.xml')}
    if not files:
        raise MissingFileError(f'no XML file below {annotations.absolute()}')
    alone = len(files.keys() - photos.keys())
    if listed is not None:
        wanted = set(read_list(listed, ('input',)).find(images, 'input'))
        photos = {stem: name for stem, name in photos.items() if name in wanted}
    pairs = [(Path(images, photos[stem]), files[stem]) for stem in sorted(photos) if stem in files]
    if not pairs:
        raise MissingFileError(f'no photo in {images} has an annotation of its name in {annotations}: there '
                               f'are photos such as {", ".join(sorted(photos)[:3])} and annotations such as '
                               f'{", ".join(sorted(files)[:3])}')
    return pairs, len(photos) - len(pairs), alone


def _refuse_document_type(data, path):
    def refuse(*_):
        raise AnnotationError(f'{path} has a document type (<!DOCTYPE ...>), which VOC annotations do not need and '
                              'which can harm; remove it')
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)


def _number(node, key, path, where):
    text = node.findtext(key)
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        what = f'no <{key}>' if text is None else f'{text!r} as <{key}>, which is not a finite number'
        raise AnnotationError(f'{path}: {where} has {what}')
    return value

"""Looking through an ONNX file before a runtime opens it: what it may hold, and what it says of itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from restorekit.files.reader import read_file
from restorekit.messages import UserError

#: Operators that may repeat their body for ever. Networks are exported without them.
_LOOPS = (b'Loop', b'Scan')
#: Whose operators are known; others run code of libraries.
_DOMAINS = (b'', b'ai.onnx', b'com.microsoft')
_LIMIT = 2 ** 31  # of protobuf itself
_MOST_PIXELS = 2 ** 16
# Numbers of fields (onnx.proto3): of a message, those that hold messages, and what kind these are of
_GRAPHS = {
    'model': {7: 'graph'}, 'graph': {1: 'node', 5: 'tensor', 15: 'sparse'}, 'node': {5: 'attribute'},
    'attribute': {5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse'},
    'sparse': {1: 'tensor', 2: 'tensor'}, 'tensor': {}}
_FUNCTIONS, _OPERATOR, _DOMAIN, _EXTERNAL, _LOCATION = 25, 4, 7, 13, 14


class OnnxFileError(UserError, RuntimeError):
    """An ONNX file cannot be run, or was not written by ``restorekit export``."""


def read_onnx(path: str | os.PathLike[str]) -> bytes:
    """Return the content of an ONNX file that may be run.

    Raises:
        MissingFileError: If there is no such file, or it is not a regular file.
        OnnxFileError: If it is damaged, has weights in other files, functions, operators of other libraries, or loops,
            which may never end. ``restorekit export`` writes none of these.

    Example::

        session = onnxruntime.InferenceSession(read_onnx('model.onnx'))
    """
    data = read_file(path, _LIMIT, 'ONNX file')
    try:
        found = _unwanted(memoryview(data))
    except (ValueError, IndexError) as error:
        raise OnnxFileError(f'{path} is not an ONNX file, or is damaged ({len(data)} bytes); export the checkpoint '
                            'again') from error
    if found:
        raise OnnxFileError(f'{path} {found}, and is not run: restorekit export writes no such files; export the '
                            'checkpoint again')
    return data


def _unwanted(model: memoryview) -> str | None:
    left = [('model', model)]
    while left:
        kind, message = left.pop()
        inner = _GRAPHS[kind]
        for number, value in _fields(message):
            if kind == 'model' and number == _FUNCTIONS:
                return 'defines functions of its own'
            if kind == 'tensor' and (number == _EXTERNAL or number == _LOCATION and value):
                return 'has weights in other files'
            if isinstance(value, int):
                continue
            if kind == 'node' and number == _OPERATOR and value in _LOOPS:
                return f'contains a {bytes(value).decode()}, which may never end'
            if kind == 'node' and number == _DOMAIN and value not in _DOMAINS:
                return f'has an operator of {bytes(value[:80]).decode(errors="replace")!r}, another library'
            if number in inner:
                left.append((inner[number], value))
    return None


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and value of each field of a protobuf message; numbers that are not varints are 0."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            length, at = _varint(message, at)
        if length is None or at + length > len(message):
            raise ValueError('not a protobuf message')
        yield key >> 3, message[at:at + length] if kind == 2 else 0
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError('not a protobuf message')


def read_facts(text: str | None, path: str) -> dict[str, Any]:
    """Return what an exported file says of itself (see :func:`restorekit.tasks.export.describe`), checked.

    Args:
        text (str, optional): Its metadata, JSON.
        path (str): The file, for messages.

    Raises:
        OnnxFileError: If there are none, or one is not what export writes.
    """
    try:
        facts = json.loads(text or '')
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict) or 'protect_highlights' not in facts:
        raise OnnxFileError(f'{path} was not written by restorekit export, so its ranges and sizes are not known; '
                            'export the checkpoint again')
    facts.setdefault('look', None)  # files of restorekit before it had a meaning
    for key, fits in _FACTS.items():
        if key not in facts or not fits(facts[key]):
            raise OnnxFileError(f'{path} says {key}={_shown(facts.get(key))} of itself, which restorekit export does '
                                'not write; export the checkpoint again')
    return facts


def _count(least: int, most: int) -> Any:
    return lambda value: type(value) is int and least <= value <= most


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _text(value: object) -> bool:
    return isinstance(value, str) and len(value) < 1000


_FACTS: dict[str, Any] = dict(
    input=('float', 'uint8').__contains__, precision=_text, network=_text, licence=_text,
    tiling=('exact', 'never', 'coefficients').__contains__, linear=_flag,
    protect_highlights=_flag, parameters=_count(0, 2 ** 63),
    size_divisor=_count(1, _MOST_PIXELS), min_size=_count(1, _MOST_PIXELS),
    look=lambda value: value is None or isinstance(value, list) and len(value) == 2 and all(
        map(_count(1, _MOST_PIXELS), value)),
    receptive_field=lambda value: value is None or _count(0, 2 ** 31)(value),
    bytes_per_pixel=lambda value: type(value) in (int, float) and 0 <= value < 2 ** 40)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'

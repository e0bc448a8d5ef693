"""What has to be known of a number to get it again: versions, decoders, hashes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import get_world_size

from restorekit.config import config_to_json
from restorekit.files.download import file_hash  # noqa: F401 (part of the provenance of a number)
from restorekit.version import __version__

# where a run happens and how it is started, which its numbers do not depend on
VOLATILE = ('work_dir', 'experiment_name', 'load_from', 'resume', 'launcher', 'data_root', 'log_level', 'visualizer')

METRIC_LIBRARIES = ('lpips', 'piq', 'pyiqa', 'fade-python')
DECODERS = ('pillow', 'kornia-rs', 'simplejpeg')


def environment(device: str | None = None) -> dict[str, Any]:
    """Return the versions, image decoders, device, date and command line of this process, as plain data.

    JPEG decoders differ by up to a few grey levels, which can move a PSNR by hundredths of a decibel.

    Args:
        device (str, optional): Where models run, 'cpu', 'cuda', ...; default: CUDA if there is one.
    """
    cuda = torch.cuda.is_available() and torch.device(device or 'cuda').type == 'cuda'
    return dict(
        versions=dict(restorekit=__version__, python=platform.python_version(), torch=str(torch.__version__),
                      numpy=np.__version__, mmengine=_version('mmengine'), opencv=cv2.__version__,
                      **{name: _version(name) for name in (*DECODERS, *METRIC_LIBRARIES) if _version(name)}),
        decoders=decoder_versions(cv2.getBuildInformation()),
        device=torch.cuda.get_device_name(device) if cuda else f'CPU ({platform.machine()})',
        threads=torch.get_num_threads(), processes=get_world_size(),
        date=time.strftime('%Y-%m-%d %H:%M:%S %z'), command=shlex.join(sys.argv))


def decoder_versions(build_information: str) -> dict[str, str]:
    """Find OpenCV's image libraries in its build information.

    Example:
        >>> decoder_versions('  Media I/O:\\n    JPEG:    libjpeg-turbo (ver 2.1.3)\\n    Video I/O:')
        {'JPEG': 'libjpeg-turbo (ver 2.1.3)'}
    """
    return dict(re.findall(r'^ *(JPEG|PNG|TIFF|WEBP): +(.*?) *$', build_information, re.MULTILINE))


def folder_hash(folder: str | os.PathLike[str]) -> str:
    """Return the sha256 of the names, sizes and times of all files below a folder (not of what they hold)."""
    files = sorted(path for path in Path(folder).rglob('*') if path.is_file())
    lines = (f'{path.relative_to(folder).as_posix()} {path.stat().st_size} {path.stat().st_mtime_ns}\n'
             for path in files)
    return _digest(line.encode() for line in lines)


def config_hash(cfg: Any) -> str:
    """Return the sha256 of a config's JSON, without the keys that its numbers do not depend on (``VOLATILE``)."""
    data = json.loads(config_to_json(cfg))
    return _digest([json.dumps({key: value for key, value in data.items() if key not in VOLATILE},
                               sort_keys=True).encode()])


def set_names(dataset: Any) -> list[tuple[str, str]]:
    """Return the set (its domain, or 'test' without one) and a name of every image of a test dataset, in order.

    A name is the input's path relative to the folder that all images of its part have in common; of data without
    files, its number. Where two parts of one set have equal names, the part's name is put before them.

    Returns:
        list[tuple[str, str]]: As long as the dataset, each different.
    """
    parts = []
    for label, leaf in dataset.leaves():
        files = (leaf.files(index) for index in range(len(leaf)))
        paths = [Path(found.get('input') or found.get('gt') or f'{number:05d}.png')
                 for number, found in enumerate(files)]
        root = _common_folder(paths)
        parts.append((leaf.domain or 'test', str(label), [path.relative_to(root).as_posix() for path in paths]))
    names = [(domain, name) for domain, _, found in parts for name in found]
    if len(set(names)) < len(names):
        names = [(domain, f'{label}/{name}') for domain, label, found in parts for name in found]
    return names[:len(dataset)]  # the target images of domain pairs are not tested


def set_hashes(dataset: Any) -> dict[str, str]:
    """Return the hash of the list of images of every set of a test dataset, by the set's name."""
    hashes = {}
    for _, leaf in dataset.leaves():
        hashes.setdefault(leaf.domain or 'test', []).append(leaf.list_hash())
    return {name: found[0] if len(found) == 1 else _digest(text.encode() for text in found)
            for name, found in hashes.items()}


def _common_folder(paths: Sequence[Path]) -> Path:
    shared = paths[0].parent.parts
    for path in paths:
        length = next((i for i, (a, b) in enumerate(zip(shared, path.parent.parts, strict=False)) if a != b),
                      min(len(shared), len(path.parent.parts)))
        shared = shared[:length]
    return Path(*shared)


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

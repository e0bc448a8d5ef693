"""The arguments of a pipeline, checked, and the backend that they name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from restorekit.files.photo import to_depth, to_grey
from restorekit.messages import InputError

if TYPE_CHECKING:
    from .onnx_backend import OnnxBackend
    from .torch_backend import TorchBackend

BACKENDS = ('torch', 'onnxruntime', 'openvino')


class RestoreOptions(TypedDict, total=False):
    """``strength`` and ``mask`` of :meth:`RestorationPipeline.__call__`."""

    strength: float | None
    mask: np.ndarray | None


def make_backend(checkpoint: str | os.PathLike, config: str | os.PathLike | None, device: str | None, precision: str,
                 backend: str | None) -> TorchBackend | OnnxBackend:
    """Return the backend that runs a file: torch for checkpoints, onnxruntime for ``.onnx`` unless told otherwise.

    Raises:
        InputError: If the backend is not known or cannot run such a file.
    """
    exported = str(checkpoint).lower().endswith('.onnx')
    backend = backend or ('onnxruntime' if exported else 'torch')
    if backend not in BACKENDS:
        raise InputError(f'backend must be one of {", ".join(BACKENDS)}, but got {backend!r}')
    if backend == 'torch':
        if exported:
            raise InputError(f'{checkpoint} is an ONNX file, which torch does not run; use --backend onnxruntime')
        from .load import load_network
        from .torch_backend import TorchBackend, check_device
        place = check_device(device)
        return TorchBackend(load_network(checkpoint, config, place), place, precision)
    if not exported:
        raise InputError(f'{backend} runs ONNX files, but got {checkpoint}; write one with: restorekit export '
                         f'{checkpoint} -o model.onnx')
    if config is not None:
        raise InputError(f'{checkpoint} holds its network, so a config has no use, but got {config}; leave it out')
    from .onnx_backend import OnnxBackend
    return OnnxBackend(checkpoint, backend, device, precision)


def check_tile(tile: str | int) -> str | int:
    """Return a tile size as an int, or 'auto' or 'off'."""
    text = str(tile)
    if text in ('auto', 'off'):
        return text
    if not text.isdecimal() or int(text) < 32:
        raise InputError(f"tile must be 'auto', 'off' or a size in pixels of at least 32, but got {tile!r}")
    return int(text)


def check_strength(strength: float) -> float:
    """Return a strength as a float in [0, 1]."""
    if isinstance(strength, bool) or not isinstance(strength, (int, float)) or not 0 <= strength <= 1:
        raise InputError(f'strength must be a number from 0 (nothing is changed) to 1 (the full result), but got '
                         f'{strength!r}')
    return float(strength)


def check_mask(mask: np.ndarray) -> np.ndarray:
    """Return a mask as float32 (H, W) in [0, 1]."""
    mask = np.asarray(mask)
    if mask.ndim == 3:
        mask = to_grey(mask) if mask.shape[2] == 3 else mask[..., 0]
    if mask.ndim != 2 or mask.size == 0:
        raise InputError(f'a mask is (H, W), white where the image is restored, but got {mask.shape}')
    if mask.dtype == bool:
        return mask.astype(np.float32)
    clipped: np.ndarray = np.clip(to_depth(mask, np.float32), 0, 1)
    return clipped

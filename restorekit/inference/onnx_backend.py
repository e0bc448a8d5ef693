"""Running what ``restorekit export`` wrote, with onnxruntime or OpenVINO and without torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from restorekit.functional.affine_grid_array import apply_affine_grid_array, apply_affine_rows
from restorekit.messages import InputError, MissingDependencyError

from .memory import free_memory
from .onnx_file import OnnxFileError, read_facts, read_onnx

_Run = Callable[[np.ndarray], Sequence[np.ndarray]]
_limited = False  # whether the memory of onnxruntime is, which is done once in a process


class OnnxBackend:
    """An exported network; pre- and post-processing are in its graph.

    Args:
        path (str | Path): An ``.onnx`` file.
        runtime (str): 'onnxruntime' or 'openvino'.
        device (str, optional): 'cpu' or 'cuda', for onnxruntime.
        precision (str): Decided when it was exported; 'auto' and 'fp32' are taken.

    Raises:
        MissingDependencyError: If the runtime is not installed.
        OnnxFileError: If the file cannot be run.
    """

    pads_after = False

    def __init__(self, path: str | os.PathLike, runtime: str, device: str | None = None, precision: str = 'auto'):
        if precision not in ('auto', 'fp32'):
            raise InputError(f'the precision of {path} was chosen when it was exported, but got {precision}; '
                             'leave out --precision')
        if runtime == 'openvino' and device not in (None, 'cpu'):
            raise InputError(f'openvino runs on the CPU here; leave out --device, but got {device}')
        self.path, self.runtime, self.device = str(path), runtime, device or 'cpu'
        self._open()

    def _open(self) -> None:
        run = _open_onnxruntime if self.runtime == 'onnxruntime' else _open_openvino
        self._run, text = run(self.path, self.device)
        self.facts = facts = read_facts(text, self.path)
        self.uint8 = facts['input'] == 'uint8'
        self.tiling, self.receptive_field = facts['tiling'], facts['receptive_field']
        self.look = None if facts['look'] is None else (facts['look'][0], facts['look'][1])
        self.size_divisor, self.min_size = facts['size_divisor'], facts['min_size']
        self.model_name, self.linear = facts['network'], facts['linear']
        self.protect_highlights = facts['protect_highlights']

    def __getstate__(self) -> dict:
        return {key: value for key, value in vars(self).items() if key != '_run'}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._open()

    def __call__(self, tile: np.ndarray) -> np.ndarray:
        """Restore float32 (h, w, 3) in [0, 1]."""
        given = self._given(tile)
        restored = self._run(given)[0]
        if restored.shape != given.shape or restored.dtype != given.dtype:
            raise OnnxFileError(f'{self.path} gives {restored.dtype} {restored.shape} for an image of {given.dtype} '
                                f'{given.shape}, where the same is due; export the checkpoint again')
        image: np.ndarray = restored[0].astype(np.float32) / 255 if self.uint8 else restored[0].transpose(1, 2, 0)
        return image

    def coefficients(self, image: np.ndarray) -> Sequence[np.ndarray]:
        """Return the coefficients of a whole image, or of its copy of size :attr:`look`: float32 (H, W, 3) in [0, 1].
        """
        found = self._run(self._given(image))[1:]
        shapes = [x.shape for x in found]
        if len(found) != 3 or any(x.dtype != np.float32 for x in found) or shapes[0] != shapes[1] or \
                shapes[0][:2] != (1, 3) or len(shapes[0]) != 4 or 0 in shapes[0] or shapes[2] != (1, 3, 3):
            raise OnnxFileError(f'{self.path} gives coefficients {", ".join(map(str, shapes)) or "none"}, where '
                                '(1, 3, h, w) twice and (1, 3, 3) are due; export the checkpoint again')
        return found

    def apply(self, strip: np.ndarray, coefficients: Sequence[np.ndarray], start: int, height: int) -> np.ndarray:
        """Apply coefficients to rows ``start`` and following of an image of ``height`` rows; float32 (h, W, 3)."""
        return apply_affine_rows(strip, *_channels_last(*coefficients), start, height)

    def apply_bytes(self, pixels: np.ndarray, coefficients: Sequence[np.ndarray], strength: float) -> np.ndarray:
        """Apply coefficients to a whole uint8 image."""
        return apply_affine_grid_array(pixels, *_channels_last(*coefficients), strength)

    def _given(self, image: np.ndarray) -> np.ndarray:
        """What the graph takes, of float32 (h, w, 3) in [0, 1]."""
        return np.rint(image * 255).astype(np.uint8)[None] if self.uint8 else \
            np.ascontiguousarray(image.transpose(2, 0, 1))[None]

    def memory(self, height: int, width: int) -> int:
        """Return the bytes that a pass takes, as measured for the network when it was exported."""
        return round(float(self.facts['bytes_per_pixel']) * height * width)

    def free(self) -> int:
        """Return the free bytes."""
        return free_memory()

    def release(self) -> None:
        """Do nothing: the runtimes keep no memory that could be given back."""

    def info(self) -> dict:
        """Return what the file says of itself."""
        return dict(network=self.model_name, parameters=self.facts['parameters'], device=self.device,
                    runtime=self.runtime, precision=self.facts['precision'], input=self.facts['input'],
                    licence=self.facts['licence'])


def _channels_last(gain: np.ndarray, bias: np.ndarray, matrix: np.ndarray
                   ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return gain[0].transpose(1, 2, 0), bias[0].transpose(1, 2, 0), matrix[0]


def _open_onnxruntime(path: str, device: str) -> tuple[_Run, str | None]:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError('the backend onnxruntime is not installed: pip install "restorekit[export]"'
                                     ) from error
    wanted = 'CUDAExecutionProvider' if str(device).startswith('cuda') else 'CPUExecutionProvider'
    if wanted not in onnxruntime.get_available_providers():
        raise InputError(f'onnxruntime {onnxruntime.__version__} has no {wanted} for device {device!r}; it has '
                         f'{", ".join(onnxruntime.get_available_providers())}')
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it refuses, our errors say
    threads = os.environ.get('OMP_NUM_THREADS')
    if threads and threads.isdecimal():
        options.intra_op_num_threads = int(threads)
    data = read_onnx(path)
    if wanted == 'CPUExecutionProvider':
        _limit_memory(onnxruntime)
        options.add_session_config_entry('session.use_env_allocators', '1')
    session = _guarded(lambda: onnxruntime.InferenceSession(data, options, providers=[wanted]), path)
    names = [entry.name for entry in session.get_inputs()]
    if len(names) != 1 or not session.get_outputs():
        raise OnnxFileError(f'{path} takes {len(names)} inputs and gives {len(session.get_outputs())} outputs, where '
                            'one image each is due; export the checkpoint again')
    metadata = session.get_modelmeta().custom_metadata_map.get('restorekit')
    return lambda x: _guarded(partial(session.run, None, {names[0]: x}), path), metadata


def _limit_memory(onnxruntime: Any) -> None:
    """Let onnxruntime take no more than what is free now, whatever a graph asks for."""
    global _limited
    if not _limited:
        kind = onnxruntime.OrtMemoryInfo('Cpu', onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                         onnxruntime.OrtMemType.DEFAULT)
        onnxruntime.create_and_register_allocator(kind, onnxruntime.OrtArenaCfg(free_memory(), -1, -1, -1))
        _limited = True


def _guarded(function: Callable[[], Any], path: str) -> Any:
    """Call onnxruntime; what it refuses is the file's fault, and no memory is a MemoryError."""
    try:
        return function()
    except Exception as error:  # its classes have no common base but Exception
        text = str(error)
        if not type(error).__module__.startswith('onnxruntime') and not isinstance(error, ValueError):
            raise
        if 'allocate memory' in text or 'bad_alloc' in text or 'vailable memory' in text:
            raise MemoryError(f'{path}: {_first_line(error)}') from error
        import onnxruntime
        raise OnnxFileError(f'onnxruntime {onnxruntime.__version__} cannot run {path}: {_first_line(error)}; it may be '
                            'damaged, or written for a newer opset: export the checkpoint again') from error


def _open_openvino(path: str, device: str) -> tuple[_Run, str | None]:
    try:
        import openvino
    except ImportError as error:
        raise MissingDependencyError('the backend openvino is not installed: pip install openvino') from error
    core = openvino.Core()
    try:
        model = core.read_model(read_onnx(path))
        compiled = core.compile_model(model, 'CPU', dict(INFERENCE_PRECISION_HINT='f32'))  # else bfloat16 where it can
    except RuntimeError as error:
        raise OnnxFileError(f'OpenVINO cannot run {path}: {_first_line(error)}; export the checkpoint again') from error
    text = _metadata(path)

    def run(x: np.ndarray) -> Sequence[np.ndarray]:
        results = compiled.create_infer_request().infer([x])
        return [results[output] for output in compiled.outputs]
    return run, text


def _metadata(path: str) -> str | None:
    """OpenVINO drops a file's metadata; onnx reads them."""
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError('reading ONNX files needs onnx: pip install "restorekit[export]"') from error
    found = onnx.load(path, load_external_data=False).metadata_props
    return next((entry.value for entry in found if entry.key == 'restorekit'), None)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300]

"""Running what ``restorekit export`` wrote, with onnxruntime or OpenVINO and without torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from restorekit.messages import InputError, MissingDependencyError

from .memory import free_memory
from .onnx_file import OnnxFileError, read_facts, read_onnx

_Run = Callable[[np.ndarray], np.ndarray]
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
        given = np.rint(tile * 255).astype(np.uint8)[None] if self.uint8 else \
            np.ascontiguousarray(tile.transpose(2, 0, 1))[None]
        restored = self._run(given)
        if restored.shape != given.shape or restored.dtype != given.dtype:
            raise OnnxFileError(f'{self.path} gives {restored.dtype} {restored.shape} for an image of {given.dtype} '
                                f'{given.shape}, where the same is due; export the checkpoint again')
        image: np.ndarray = restored[0].astype(np.float32) / 255 if self.uint8 else restored[0].transpose(1, 2, 0)
        return image

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
    return lambda x: _guarded(partial(session.run, None, {names[0]: x}), path)[0], metadata


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
        compiled = core.compile_model(model, 'CPU')
    except RuntimeError as error:
        raise OnnxFileError(f'OpenVINO cannot run {path}: {_first_line(error)}; export the checkpoint again') from error
    text = _metadata(path)
    output = compiled.output(0)

    def run(x: np.ndarray) -> np.ndarray:
        result: np.ndarray = compiled.create_infer_request().infer([x])[output]
        return result
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

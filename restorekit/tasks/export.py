"""Export a network as ONNX or a torch.export program, and check that it gives the same images."""

from __future__ import annotations

import inspect
import io
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from restorekit.files.atomic import atomic_write_bytes
from restorekit.messages import ExistingFileError, InputError, MissingDependencyError, UserError

#: Greatest difference of a pixel in [0, 1] (fp32), or least PSNR in dB, between the exported and the original network.
LIMITS: dict[str, dict[str, float]] = dict(fp32=dict(difference=2 / 255), fp16=dict(psnr=40), int8=dict(psnr=25))
_OPSET = 18

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch
    from torch.export import ExportedProgram

    from restorekit.inference.pipeline import RestorationPipeline
    from restorekit.models import RestorationNetwork

#: Runs an exported network: images in, images out.
Runner = Callable[[np.ndarray], np.ndarray]


class ExportError(UserError, RuntimeError):
    """A network cannot be exported, or the exported one gives other images."""


@dataclass
class Parity:
    """How an image of the exported network differs from that of the original."""

    image: str
    size: tuple[int, int]
    difference: float
    psnr: float


@dataclass
class ExportReport:
    """What was written.

    Attributes:
        file (Path): The exported model.
        bytes (int): Its size.
        facts (dict): What it says of itself.
        parity (list[Parity]): One row for each image that was compared.
    """

    file: Path
    bytes: int
    facts: dict
    parity: list[Parity] = field(default_factory=list)


def export(checkpoint: str | os.PathLike, out: str | os.PathLike, *, config: str | None = None, input: str = 'float',
           precision: str = 'fp32', images: Sequence[str | os.PathLike] = (), licence: str = '',
           overwrite: bool = False, progress: Callable[[str], None] | None = None) -> ExportReport:
    """Export a checkpoint with free image sizes, its pre- and post-processing in the graph, and compare the two.

    Args:
        checkpoint (str | Path): What :func:`restorekit.load` takes: a checkpoint file or a model's name.
        out (str | Path): ``.onnx``, or ``.pt2`` for a program of ``torch.export``.
        config (str, optional): Config of a checkpoint that does not describe its network.
        input (str): 'float': float32 (N, 3, H, W) RGB in [0, 1], in and out; 'uint8': (N, H, W, 3) RGB, in and out.
        precision (str): 'fp32', 'fp16' or, for ONNX, 'int8' (static quantisation, which needs ``images``).
        images: Photos the two are compared on (beside random images), and int8 is calibrated on.
        licence (str): Licence of the weights, for the metadata.
        overwrite (bool): Replace ``out`` if it is there.
        progress (Callable, optional): Called with what is done next.

    Returns:
        ExportReport: With the parity table.

    Raises:
        ExportError: If the network cannot be exported, or the exported one differs by more than :data:`LIMITS`; nothing
            is written then.
        MissingDependencyError: If onnx or onnxruntime is not installed.

    Example::

        report = restorekit.export('latest.pth', 'model.onnx')
        print(max(row.difference for row in report.parity))
    """
    from restorekit.inference.load import load
    from restorekit.inference.onnx_backend import OnnxBackend
    out = Path(out)
    if out.suffix not in ('.onnx', '.pt2'):
        raise InputError(f'the output must end in .onnx or .pt2 (torch.export), but got {out}')
    if input not in ('float', 'uint8'):
        raise InputError(f"input must be 'float' or 'uint8', but got {input!r}")
    if precision not in LIMITS:
        raise InputError(f'precision must be one of {", ".join(LIMITS)}, but got {precision!r}')
    if out.suffix == '.pt2' and precision != 'fp32':
        raise InputError(f'a .pt2 program is exported in fp32, but got {precision!r}; choose .onnx')
    if precision == 'int8' and not images:
        raise InputError('int8 is calibrated on photos of the kind the model will see; give some with --images')
    if out.exists() and not overwrite:
        raise ExistingFileError(f'{out} exists; give another name, or --overwrite')
    say = progress or (lambda text: None)
    pipeline = load(checkpoint, config=config, device='cpu', tile='off', protect_highlights=False)
    if isinstance(pipeline.backend, OnnxBackend):
        raise InputError(f'{checkpoint} is exported already; give the checkpoint from which it was made')
    network = pipeline.backend.network
    photos = [(str(path), _read(path)) for path in images]
    facts = describe(network, input, precision, licence or _licence(checkpoint))
    facts['protect_highlights'] = load(checkpoint, config=config, device='cpu').protect_highlights
    say('tracing')
    program = trace(network, input, coefficients=out.suffix == '.onnx' and facts['tiling'] == 'coefficients')
    if out.suffix == '.pt2':
        data = _program_bytes(program)
        run = _program_runner(program, input)
    else:
        say('converting')
        data = to_onnx(program, facts)
        if precision == 'fp16':
            data = _half(data)
        elif precision == 'int8':
            say('quantising')
            data = _quantise(data, [photo for _, photo in photos], input)
        run = _onnx_runner(data)
    say('comparing')
    report = ExportReport(out, len(data), facts, compare(pipeline, run, photos, network, input))
    check_parity(report.parity, precision)
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(data, out)
    return report


def describe(network: RestorationNetwork, input: str = 'float', precision: str = 'fp32', licence: str = ''
             ) -> dict[str, Any]:
    """Return what an exported file says of itself: sizes, ranges, tiling, licence, memory."""
    from restorekit.inference.forward_memory import forward_memory
    from restorekit.inference.torch_backend import look_size
    from restorekit.version import __version__
    gives_grid = hasattr(network, 'apply_coefficients_array')  # applied without torch
    side = math.ceil(max(256, network.min_size) / network.size_divisor) * network.size_divisor
    return dict(network=type(network).__name__, parameters=sum(p.numel() for p in network.parameters()),
                input=input, precision=precision, range=[0, 1] if input == 'float' else [0, 255],
                size_divisor=network.size_divisor, min_size=network.min_size,
                # what a graph cannot do: hold averages over tiles
                tiling=network.tiling if network.tiling == 'exact' or gives_grid else 'never',
                receptive_field=network.receptive_field, look=look_size(network) if gives_grid else None,
                bytes_per_pixel=forward_memory(network, side, side) / side ** 2, licence=licence,
                # coefficients are mixed by strength as they are; other results in linear light
                linear=network.tiling != 'coefficients',
                restorekit=__version__)


def trace(network: RestorationNetwork, input: str = 'float', coefficients: bool = False) -> ExportedProgram:
    """Return a program of ``torch.export`` of a network, height and width free.

    With ``coefficients`` it returns those of the network as well, see
    :class:`~restorekit.models.graph.RestorationGraph`.

    Raises:
        ExportError: If it cannot be traced.
    """
    import torch

    from restorekit.models.graph import RestorationGraph
    graph = RestorationGraph(network, input == 'uint8', coefficients).eval()
    divisor = network.size_divisor
    height = math.ceil(max(network.min_size, 32) / divisor) * divisor + max(1, divisor // 3)
    width = height + divisor + 1
    if input == 'uint8':
        example, dims = torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8), (1, 2)
    else:
        example, dims = torch.rand(1, 3, height, width), (2, 3)
    dynamic = dict.fromkeys(dims, torch.export.Dim.DYNAMIC)
    try:
        return torch.export.export(graph, (example,), dynamic_shapes=(dynamic,))
    except (RuntimeError, ValueError, AssertionError, TypeError, NotImplementedError) as error:
        raise ExportError(f'{type(network).__name__} cannot be traced with free sizes: {str(error)[:500]}') from error


def runnable(program: ExportedProgram) -> torch.nn.Module:
    """Return the module of a program of ``torch.export``, for any size.

    Some of the guards that torch writes say no more than that the traced image was padded; they are not checked, where
    torch lets them be left out (from 2.9).
    """
    unchecked = 'check_guards' in inspect.signature(program.module).parameters
    return program.module(check_guards=False) if unchecked else program.module()


def to_onnx(program: ExportedProgram, facts: dict[str, Any]) -> bytes:
    """Return a program of ``torch.export`` as the bytes of an ONNX file, with ``facts`` as its metadata.

    Batch normalisation is folded into the convolutions before it.

    Raises:
        MissingDependencyError: If onnx or onnxscript is not installed.
        ExportError: If it cannot be converted.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch needs it
    except ImportError as error:
        raise MissingDependencyError(f'{error.name} is not installed: pip install "restorekit[export]"') from error
    import torch
    outputs = len(program.graph_signature.user_outputs)
    names = ['restored', *['gain', 'bias', 'matrix'][:outputs - 1]]
    try:
        converted = torch.onnx.export(program, dynamo=True, verbose=False, optimize=False, opset_version=_OPSET,
                                      input_names=['image'], output_names=names)
    except (RuntimeError, ValueError, TypeError, torch.onnx.OnnxExporterError) as error:
        raise ExportError(f'{facts["network"]} cannot be written as ONNX: {str(error)[:500]}') from error
    assert converted is not None  # dynamo=True returns a program
    _simplify(converted.model)
    model = converted.model_proto
    del model.metadata_props[:]
    for key, value in dict(restorekit=json.dumps(facts), licence=facts['licence'], author='').items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    for node in model.graph.node:  # where in our code a node is from is nobody's business but ours
        del node.metadata_props[:]
        node.doc_string = ''
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _simplify(model: ir.Model) -> None:
    """Fold constants and batch normalisation, and compute nothing twice.

    What ``optimize=True`` would do, but for rules of which a runtime has its own: one of them compares all nodes with
    all nodes, which takes minutes for the slices of a dynamic filter.
    """
    from onnx_ir.passes.common import CommonSubexpressionEliminationPass
    from onnxscript import optimizer, rewriter
    from onnxscript.rewriter.rules import common as rules
    optimizer.fold_constants(model)
    rewriter.rewrite(model, [rules.fuse_batchnorm_into_conv_rule, rules.fuse_batchnorm_into_conv_transpose_rule,
                             rules.fuse_batchnorm_into_gemm_rule])
    CommonSubexpressionEliminationPass()(model)
    optimizer.remove_unused_nodes(model)


def compare(pipeline: RestorationPipeline, run: Runner, photos: Sequence[tuple[str, np.ndarray]],
            network: RestorationNetwork, input: str) -> list[Parity]:
    """Return how restored images differ: random ones of four sizes, and photos."""
    generator = np.random.default_rng(0)
    side = max(network.min_size, 16)
    sizes = (side, side), (17, 100), (side + 13, 2 * side + 5), (3 * side + 1, 2 * side + 33)
    cases = [(f'random {i + 1}', generator.integers(0, 256, (*size, 3), dtype=np.uint8))
             for i, size in enumerate(sizes)]
    rows = []
    for name, image in [*cases, *photos]:
        expected = pipeline.restore_pixels(image.astype(np.float32) / 255) if input == 'float' else \
            pipeline.restore_pixels(image).astype(np.float32) / 255
        if input == 'float':
            got = run(np.ascontiguousarray((image.astype(np.float32) / 255).transpose(2, 0, 1))[None])[0]
            got = got.transpose(1, 2, 0)
        else:
            got = run(image[None])[0].astype(np.float32) / 255
        error = np.abs(got.astype(np.float64) - expected)
        mse = float((error ** 2).mean())
        rows.append(Parity(name, (image.shape[1], image.shape[0]), float(error.max()),
                           math.inf if mse == 0 else -10 * math.log10(mse)))
    return rows


def check_parity(rows: Sequence[Parity], precision: str) -> None:
    """Raise an ExportError if the images differ by more than :data:`LIMITS` allows."""
    limit: dict[str, float] = LIMITS[precision]
    bad = [row for row in rows if row.difference > limit.get('difference', math.inf) or row.psnr < limit.get('psnr', 0)
           or not math.isfinite(row.difference)]
    if bad:
        worst = max(bad, key=lambda row: row.difference)
        allowed = ' and '.join(f'{key} {"<=" if key == "difference" else ">="} {value:.3g}'
                               for key, value in limit.items())
        raise ExportError(f'the exported network gives other images on {len(bad)} of {len(rows)} ({allowed} is allowed '
                          f'in {precision}): worst is {worst.image}, {worst.size[0]}x{worst.size[1]}, with a '
                          f'difference of {worst.difference:.3g} and {worst.psnr:.1f} dB; nothing was written')


def _licence(checkpoint: str | os.PathLike[str]) -> str:
    from restorekit.zoo.index import find_model, list_models
    return find_model(str(checkpoint)).licence if str(checkpoint) in list_models() else ''


def _read(path: str | os.PathLike[str]) -> np.ndarray:
    from restorekit.files.image_io import read_image
    image: np.ndarray = read_image(path)
    return image


def _program_bytes(program: ExportedProgram) -> bytes:
    import torch
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def _program_runner(program: ExportedProgram, input: str) -> Runner:
    import torch
    module = runnable(program)

    def run(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(module(torch.from_numpy(x)))
    return run


def _onnx_runner(data: bytes) -> Runner:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError('comparing needs onnxruntime: pip install "restorekit[export]"') from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=['CPUExecutionProvider'])
    name = session.get_inputs()[0].name
    return lambda x: np.asarray(session.run(None, {name: x})[0])


def _half(data: bytes) -> bytes:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    half = convert_float_to_float16(onnx.load_from_string(data), keep_io_types=True, disable_shape_infer=True)
    return bytes(half.SerializeToString())


def _quantise(data: bytes, photos: Sequence[np.ndarray], input: str) -> bytes:
    import tempfile

    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Photos(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(photos)

        def get_next(self) -> dict[str, np.ndarray] | None:
            photo = next(self.left, None)
            if photo is None:
                return None
            side = max(photo.shape[:2])
            if side > 512:
                import cv2
                height, width = (max(32, round(size * 512 / side)) for size in photo.shape[:2])
                photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
            if input == 'uint8':
                return dict(image=photo[None])
            return dict(image=np.ascontiguousarray((photo.astype(np.float32) / 255).transpose(2, 0, 1))[None])
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, 'model.onnx'), Path(folder, 'int8.onnx')
        source.write_bytes(data)
        quantize_static(str(source), str(target), Photos(), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=['Conv'])
        return target.read_bytes()

"""Measure models on datasets, quality and cost, and put them into one table and one chart."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from restorekit.evaluation.method_table import close_calls, format_table, tabulate_reports
from restorekit.evaluation.provenance import environment, file_hash, folder_hash, set_hashes, set_names
from restorekit.evaluation.report import describe_metric, summarise, write_report
from restorekit.evaluation.selection import join_sets, metric_configs
from restorekit.files.atomic import atomic_write_text
from restorekit.files.lock import lock_folder, unlock_folder
from restorekit.files.names import file_name
from restorekit.functional.classic import clahe
from restorekit.messages import InputError
from restorekit.registry import DATASETS, METRICS
from restorekit.version import __version__

SIZES = ((600, 400), (1920, 1080))
REPEATS = 5  # timed passes of an image; the median counts
Progress = Callable[[int, int], object]


class _Model(NamedTuple):
    """What is benchmarked: ``kind`` is 'network', 'stored', 'clahe' or 'input'."""

    name: str
    kind: str
    spec: str
    sha256: str
    licence: str


def bench(models: Mapping[str, str | Path] | Sequence[str | Path], data: Sequence[str | Path], out: str | Path, *,
          protocols: Sequence[str] = ('rgb',), metrics: Sequence[str] = (), data_root: str | Path | None = None,
          sizes: Sequence[tuple[int, int]] = SIZES, repeats: int = REPEATS, device: str | None = None,
          progress: Progress | None = None) -> dict[str, Any]:
    """Measure several models on several test sets, in quality and in cost.

    Each number of an image is kept in ``out`` under the hash of the model and of the image, so a bench that was cut
    off, or gets another model, image or metric, measures only what is new.

    Args:
        models (Mapping | Sequence): By name, or under their own: a name of :func:`restorekit.list_models`, a checkpoint
            that says what network it holds, a folder of images that another program restored, ``'clahe'``, or
            ``'input'`` (the degraded images).
        data (Sequence): Test sets: names below ``configs/_base_/datasets/``, or config files.
        out (str | Path): Folder for ``bench.json``, ``bench.md``, ``bench.csv``, a report per model below ``reports/``,
            and the kept numbers.
        protocols (Sequence[str]): Protocols of PSNR and SSIM, and of ``metrics`` that take one.
        metrics (Sequence[str]): Further metrics.
        data_root (str | Path, optional): Joined before the datasets' relative paths.
        sizes (Sequence): (width, height) of the images that time and memory are measured on.
        repeats (int): Timed passes of each; the median counts.
        device (str, optional): 'cpu', 'cuda', ...; default: CUDA if there is one, and the CPU for ONNX files.
        progress (Callable, optional): Called with (images done, images) over all models.

    Returns:
        dict: As :func:`~restorekit.evaluation.method_table.tabulate_reports` (``methods``, ``rows`` with means,
        intervals and the paired test of the best against the second), and ``costs``, by method: ``parameters``,
        ``macs`` (multiply-adds at the first size), ``licence``, ``sha256`` and ``sizes``, by 'WxH': ``seconds``,
        ``cpu_seconds`` (over all threads; other work on the machine hardly changes them) and ``memory`` (bytes that a
        pass takes beyond the loaded model; None where the system does not say); ``device``; ``machine``.

    Raises:
        InputError: Without models, for names given twice, or sizes that make no sense.
        UnknownNameError: For a model that is neither a file, a folder nor a known name.
        MissingFileError: If data is missing.
        FolderInUseError: If another bench writes to ``out``.
    """
    named = dict(models) if isinstance(models, Mapping) else {Path(spec).stem or str(spec): spec for spec in models}
    if not named or len(named) < len(models):
        raise InputError(f'a bench needs models of different names, but got {", ".join(map(str, models)) or "none"}; '
                         'give NAME=MODEL')
    if repeats < 1 or not sizes or min(side for size in sizes for side in size) < 1:
        raise InputError(f'sizes are (width, height) of at least 1 and repeats at least 1, but got {list(sizes)} and '
                         f'{repeats}')
    found = [_find(name, str(spec)) for name, spec in named.items()]
    dataset = _dataset(data, data_root)
    built = [METRICS.build(dict(baseline=True, **config)) for config in metric_configs(None, protocols, metrics)]
    names, hashes = set_names(dataset), set_hashes(dataset)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    lock_folder(out)
    try:
        costs = {}
        for number, model in enumerate(found):
            def done(images: int, before: int = number * len(names)) -> None:
                if progress is not None:
                    progress(before + images, len(found) * len(names))

            rows = _measure(model, dataset, names, built, out, _place(model, device), done)
            described = [describe_metric(metric) for metric in built]
            provenance = dict(model=f'{model.name} ({model.spec})', checkpoint_sha256=model.sha256,
                              config=', '.join(map(str, data)), config_sha256=None,
                              **environment(_place(model, device)))
            summary = summarise(rows, described, hashes, provenance, dict(bench=model.sha256))
            write_report(_report(out, model.name), summary, rows, {})
            costs[model.name] = _costs(model, sizes, repeats, _place(model, device), out)
        shown = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        result = dict(**tabulate_reports({model.name: [_report(out, model.name)] for model in found}), costs=costs,
                      device=shown, machine=environment(shown))
        atomic_write_text(json.dumps(result, indent=2) + '\n', out / 'bench.json')
        atomic_write_text(format_bench(result) + '\n', out / 'bench.md')
        atomic_write_text(format_table(result, 'csv', extra=_cost_columns(result)) + '\n', out / 'bench.csv')
        return result
    finally:
        unlock_folder(out)


def format_bench(found: dict[str, Any]) -> str:
    """Return the result of :func:`bench` as a Markdown table of quality and cost, with notes below."""
    machine = found['machine']
    notes = [f'{machine["device"]}, {machine["threads"]} thread(s), {machine["date"]}. Quality: mean and 95 % interval '
             'over images. Memory: what a pass takes beyond the loaded model.', *close_calls(found)]
    return '\n'.join([format_table(found, extra=_cost_columns(found), intervals=True), '', *notes])


def _cost_columns(found: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Texts by column and method."""
    columns: dict[str, dict[str, str]] = {}
    for method, cost in found['costs'].items():
        for size, one in cost['sizes'].items():
            columns.setdefault(f's at {size}', {})[method] = f'{one["seconds"]:.3f}'
            columns.setdefault(f'CPU s at {size}', {})[method] = f'{one["cpu_seconds"]:.3f}'
            columns.setdefault(f'MiB at {size}', {})[method] = \
                '-' if one['memory'] is None else f'{one["memory"] / 2**20:.0f}'
        for title, key, scale in (('parameters (M)', 'parameters', 1e6), ('multiply-adds (G)', 'macs', 1e9)):
            columns.setdefault(title, {})[method] = '-' if cost[key] is None else f'{cost[key] / scale:.3g}'
        columns.setdefault('licence', {})[method] = cost['licence']
    return columns


def _report(out: Path, name: str) -> Path:
    return out / 'reports' / file_name(name)


def _find(name: str, spec: str) -> _Model:
    """Say what a model is, and hash it, without loading it for long."""
    if spec == 'input':
        return _Model(name, 'input', spec, hashlib.sha256(b'input').hexdigest(), '-')
    if spec == 'clahe':
        return _Model(name, 'clahe', spec, hashlib.sha256(b'clahe').hexdigest(), 'Apache-2.0')
    if Path(spec).is_dir():
        return _Model(name, 'stored', spec, folder_hash(spec), '-')
    from restorekit.inference import load
    from restorekit.zoo.index import find_model, list_models
    licence = find_model(spec).licence if spec in list_models() else '-'
    return _Model(name, 'network', spec, file_hash(load(spec, device='cpu').checkpoint), licence)


def _dataset(data: Sequence[str | Path], data_root: str | Path | None) -> Any:
    from restorekit.engine import check_paths, join_data_root
    if not data:
        raise InputError('a bench needs at least one test set')
    loader = join_sets(data, None)
    cfg = dict(test_dataloader=loader, data_root=None if data_root is None else str(data_root))
    join_data_root(cfg)
    check_paths(cfg, ', '.join(map(str, data)), splits=('test',))
    return DATASETS.build(loader['dataset'])


def _measure(model: _Model, dataset: Any, names: list[tuple[str, str]], metrics: list[Any], out: Path, device: str,
             done: Callable[[int], object]) -> list[dict[str, Any]]:
    """The rows of a report: every image, from what is kept or measured now."""
    kept_file = out / 'kept' / f'{model.sha256[:32]}-{__version__}.jsonl'
    kept_file.parent.mkdir(exist_ok=True)
    kept = _read_kept(kept_file)
    labels = [_key(describe_metric(metric)) for metric in metrics]
    restore, rows = None, []
    with kept_file.open('a', encoding='utf-8') as file:
        if file.tell():
            file.write('\n')  # behind a line that was cut off
        for index, (domain, name) in enumerate(names):
            item = dataset[index]
            image, sample = item['inputs'], item['data_samples'].to_dict()
            broken = bool(sample.get('broken'))
            key = hashlib.sha256(b''.join(
                str(tensor.shape).encode() + tensor.numpy().tobytes() for tensor in (image, sample.get('gt'))
                if tensor is not None)).hexdigest()
            if model.kind == 'stored':
                key = hashlib.sha256(f'{key} {domain} {name}'.encode()).hexdigest()
            values = kept.get(key, {})
            missing = [i for i, label in enumerate(labels) if label not in values]
            if missing and not broken:
                restore = restore or _restorer(model, names, device)
                pred = restore(image, index)
                for i in missing:
                    values[labels[i]] = _value(metrics[i], image, pred, dict(sample, test_index=index))
                file.write(json.dumps(dict(image=key, values=values)) + '\n')
                file.flush()
            rows.append(dict(index=index, domain=domain, image=name, broken=broken,
                             values=[values.get(label, [None, None]) for label in labels]))
            done(index + 1)
    return rows


def _value(metric: Any, image: torch.Tensor, pred: torch.Tensor, sample: dict[str, Any]) -> list[float | None]:
    metric.results.clear()
    metric.process(dict(inputs=[image]), [dict(sample, pred=pred)])
    row = metric.results.pop()
    return [row['value'], row['baseline']]


def _key(described: dict[str, Any]) -> str:
    return json.dumps([described[key] for key in ('label', 'fingerprint', 'options')], sort_keys=True)


def _read_kept(file: Path) -> dict[str, dict[str, Any]]:
    """What was measured before, by image; lines that were cut off or are of another kind do not count."""
    kept: dict[str, dict[str, Any]] = {}
    for line in file.read_text(encoding='utf-8', errors='replace').splitlines() if file.is_file() else ():
        try:
            record = json.loads(line)
            kept[str(record['image'])] = {str(label): [None if x is None else float(x) for x in pair[:2]]
                                          for label, pair in record['values'].items() if len(pair) == 2}
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return kept


def _place(model: _Model, device: str | None) -> str:
    """Where a model runs: only networks leave the CPU, and those of ONNX files only when told to."""
    if model.kind != 'network':
        return 'cpu'
    exported = model.spec.lower().endswith('.onnx')
    return device or ('cuda' if torch.cuda.is_available() and not exported else 'cpu')


def _restorer(model: _Model, names: list[tuple[str, str]], device: str) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """Return a function of an input, uint8 (3, H, W), and its index that gives (3, H, W) in [0, 1]."""
    if model.kind == 'input':
        return lambda image, index: image.float() / 255
    if model.kind == 'clahe':
        return lambda image, index: torch.from_numpy(clahe(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
                                                     ).permute(2, 0, 1).float() / 255
    if model.kind == 'stored':
        from restorekit.models import StoredPredictions
        stored = StoredPredictions(model.spec)
        stored.check_files(names)
        from restorekit.files.image_io import read_image
        return lambda image, index: torch.from_numpy(
            read_image(stored.find(*names[index])).transpose(2, 0, 1).copy()).float() / 255
    from restorekit.inference import load
    pipeline = load(model.spec, device=device)
    return lambda image, index: pipeline(image.float() / 255)


def _costs(model: _Model, sizes: Sequence[tuple[int, int]], repeats: int, device: str, out: Path) -> dict[str, Any]:
    found: dict[str, Any] = dict(parameters=None, macs=None, licence=model.licence, sha256=model.sha256, sizes={})
    if model.kind in ('input', 'stored'):
        return found
    if model.kind == 'network':
        from restorekit.inference import load
        from restorekit.models.cost import network_cost
        pipeline = load(model.spec, device='cpu')
        found['parameters'] = pipeline.info().get('parameters')
        network = getattr(pipeline.backend, 'network', None)  # an ONNX file has none
        if network is not None:
            width, height = sizes[0]
            found['macs'] = network_cost(network, *(-(-side // network.size_divisor) * network.size_divisor
                                                    for side in (height, width))).macs
    file = out / 'kept' / 'costs.json'
    kept = _read_json(file)
    for size in sizes:
        key = f'{model.sha256[:32]} {size[0]}x{size[1]} {device} {torch.get_num_threads()} {repeats} {__version__}'
        if 'cpu_seconds' not in kept.get(key, ()):
            kept[key] = _in_fresh_process(_time, model, size, repeats, device, torch.get_num_threads())
            atomic_write_text(json.dumps(kept, indent=2) + '\n', file)
        found['sizes'][f'{size[0]}x{size[1]}'] = kept[key]
    return found


def _in_fresh_process(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function where the peak of memory is its own."""
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return pool.apply(function, args)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _time(model: _Model, size: tuple[int, int], repeats: int, device: str, threads: int) -> dict[str, float | None]:
    """Seconds of a pass by the clock and of the CPU, medians, and the memory it takes beyond what was there before."""
    from restorekit.tasks.process import prepare_process
    prepare_process()
    torch.set_num_threads(threads)
    restore: Callable[[np.ndarray], object] = clahe
    if model.kind != 'clahe':
        from restorekit.inference import load
        restore = load(model.spec, device=device)
    image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)  # as a photo comes
    restore(image[:64, :64].copy())  # what is imported and set up once
    gpu = torch.device(device).type == 'cuda'
    before, seconds, cpu, memory = _reset_peak(device if gpu else None), [], [], None
    for number in range(repeats + 1):
        start, cpu_start = time.perf_counter(), time.process_time()
        restore(image)
        if gpu:
            torch.cuda.synchronize(device)
        if number == 0:  # the first pass also warms up
            memory = _taken(before, device if gpu else None)
        else:
            seconds.append(time.perf_counter() - start)
            cpu.append(time.process_time() - cpu_start)
    return dict(seconds=float(np.median(seconds)), cpu_seconds=float(np.median(cpu)), memory=memory)


def _reset_peak(gpu: str | None) -> int | None:
    """Make the peak of memory what is taken now, and return it in bytes; None where that cannot be.

    That of a GPU is what torch takes of it, that of the CPU all of this process's.
    """
    if gpu is not None:
        torch.cuda.reset_peak_memory_stats(gpu)
        return torch.cuda.memory_allocated(gpu)
    try:
        Path('/proc/self/clear_refs').write_text('5')  # Linux
    except OSError:
        return None
    return _peak()


def _peak() -> int | None:
    """The largest memory this process took since the last reset, in bytes."""
    try:
        lines = Path('/proc/self/status').read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM:'))
    except (OSError, ValueError, StopIteration):
        return None


def _taken(before: int | None, gpu: str | None) -> float | None:
    peak = _peak() if gpu is None else torch.cuda.max_memory_allocated(gpu) or None  # 0: another runtime's memory
    return None if before is None or peak is None else float(max(peak - before, 0))

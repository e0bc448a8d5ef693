"""Publish a trained network: one file that says what it is, and a model card."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .train import PathLike

if TYPE_CHECKING:
    from restorekit.models import RestorationNetwork


@dataclass(frozen=True)
class PublishReport:
    """What was published.

    Attributes:
        file (Path): ``NAME-<first 8 digits of its SHA-256>.safetensors``, or the file that was packed before.
        card (Path): The model card, ``NAME.md``.
        sha256 (str): SHA-256 (hex) of the file.
        metadata (dict): What the file (with ``packed``: the card) says of the network.
    """

    file: Path
    card: Path
    sha256: str
    metadata: dict[str, Any]


def publish(checkpoint: PathLike, name: str, *, out: PathLike = '.', licence: str, summary: str = '',
            report: PathLike | None = None, compare: Mapping[str, PathLike] | None = None,
            notes: PathLike | None = None, facts: PathLike | None = None, runs: Sequence[PathLike] = (),
            data_root: PathLike | None = None, packed: PathLike | None = None, dtype: str = 'float16',
            force: bool = False) -> PublishReport:
    """Write the network of a checkpoint as safetensors and a model card beside it.

    The file holds, as data, the network's description, its ranges and sizes, the licence, the hash of the training
    config and the results; :func:`restorekit.load` needs nothing else. Its name ends in its hash, which is checked
    where it is downloaded. The card says what the file says, and: figures with intervals, what the notes say of its
    failures, how and on which data it was trained, and the hashes.

    Args:
        checkpoint (str | Path): A checkpoint of a training run of restorekit.
        name (str): Name of the model: up to 200 letters, digits, ``.``, ``_`` and ``-``.
        out (str | Path): Folder to write to; it is made.
        licence (str): Licence of the weights: its SPDX identifier, for example ``'Apache-2.0'``; or, where the training
            data binds them, a sentence that says so: ``'research use (as its training data)'``.
        summary (str): What the model is for, one line.
        report (str | Path, optional): Folder that ``restorekit test`` wrote of the checkpoint, or of ``packed``.
        compare (Mapping[str, str | Path], optional): Reports of other methods on the same sets, by name.
        notes (str | Path, optional): Markdown; what stands before its first ``##`` heading introduces the card, its
            sections (failures, choices) follow the figures.
        facts (str | Path, optional): YAML with ``data`` (origin and licence by training set, and by component
            that starts from pretrained weights) and ``sets`` (title by test set).
        runs (Sequence[str | Path]): Work dirs of the run in the order of training; default: that of the checkpoint.
        data_root (str | Path, optional): Where the training data lies, to count its items and hash their contents.
        packed (str | Path, optional): A file that :func:`restorekit.pack` wrote of the checkpoint: it is described,
            and no other is written.
        dtype (str): ``'float16'`` (half the size), ``'bfloat16'`` or ``'float32'``.
        force (bool): Overwrite what is there.

    Returns:
        PublishReport: Files, hash and metadata.

    Raises:
        InputError: If the name or ``dtype`` is not allowed, the licence is empty, a report is of other weights or
            images, or ``packed`` holds other weights than the checkpoint.
        ExistingFileError: If a file is there and ``force`` is False.
        MissingFileError: If a report, the notes, the facts or a run is not there.
        ReportError: If a report is none.
        CheckpointError: If the checkpoint is damaged or does not say what network it holds.

    Example:
        >>> import restorekit
        >>> restorekit.publish('work_dirs/haze/iter_2400.pth', 'my-haze', licence='Apache-2.0')  # doctest: +SKIP
        PublishReport(file=PosixPath('my-haze-0f3a12bc.safetensors'), ...)
    """
    import re

    from restorekit.checkpoint import (
        build_described_network,
        load_checkpoint_file,
        network_description,
        network_state,
    )
    from restorekit.files.atomic import atomic_write_text
    from restorekit.files.download import file_hash
    from restorekit.messages import ExistingFileError, InputError
    from restorekit.zoo.card import (
        data_table,
        figures_table,
        read_facts,
        read_notes,
        read_report,
        read_runs,
        weights_table,
    )
    from restorekit.zoo.pack import check_packed, pack_network
    if not re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9._-]{,199}', name):
        raise InputError('the name of a model is up to 200 letters, digits, dots, underscores and hyphens, but got '
                         f'{name[:250]!r}')
    if not licence.strip():
        raise InputError('say under which licence the weights may be used, for example --licence Apache-2.0')
    if compare and report is None:
        raise InputError(f'reports to compare with ({", ".join(compare)}) need a report of the model itself')
    out = Path(out)
    card = out / f'{name}.md'
    if card.exists() and not force:
        raise ExistingFileError(f'{card} is there already; choose another name, or --force to overwrite it')
    content = load_checkpoint_file(str(checkpoint), map_location='cpu')
    network = build_described_network(network_description(content, checkpoint), network_state(content, checkpoint),
                                      checkpoint)
    reports = {} if report is None else {name: read_report(report)}
    reports.update({other: read_report(folder) for other, folder in (compare or {}).items()})
    source = file_hash(checkpoint)
    known = {source} if packed is None else {source, check_packed(packed, checkpoint)}
    measured = reports[name]['provenance'].get('checkpoint_sha256') if reports else source
    if measured not in known:
        raise InputError(f'{report} measured other weights (sha256 {measured}) than those of {checkpoint}'
                         f'{"" if packed is None else f" and {packed}"}; test these again')
    said, phases = read_facts(facts), read_runs(checkpoint, runs)
    found = dict(checkpoint=checkpoint, source=source, seed=(content.get('meta') or {}).get('seed'), phases=phases,
                 notes=read_notes(notes), report=reports.get(name), hashed=data_root is not None,
                 weights=weights_table(phases, said['data']),
                 figures=figures_table(name, reports, said['sets']) if reports else '',
                 data=data_table(phases, said['data'], data_root) if phases else '')
    metadata = dict(name=name, licence=licence, summary=summary, results=_results(reports.get(name)),
                    intervals=_results(reports.get(name), ('low', 'high')),
                    config_sha256=_config_hash(content, checkpoint), input_range=list(network.input_range),
                    output_range=list(network.output_range), size_divisor=network.size_divisor,
                    parameters=sum(parameter.numel() for parameter in network.parameters()))
    out.mkdir(parents=True, exist_ok=True)
    if packed is None:
        draft = out / f'.{name}.safetensors'
        digest = pack_network(checkpoint, draft, dtype=dtype, metadata=metadata, overwrite=True)
        file = out / f'{name}-{digest[:8]}.safetensors'
        draft.replace(file)
    else:
        file, digest = Path(packed), file_hash(packed)
    atomic_write_text(_card(metadata, network, file, digest, found), str(card))
    return PublishReport(file, card, digest, metadata)


def _config_hash(content: dict[str, Any], source: PathLike) -> str | None:
    """SHA-256 of the text of the training config in a checkpoint; None without one."""
    from restorekit.checkpoint import checkpoint_record
    config = checkpoint_record(content, source).get('config')
    if not isinstance(config, str):
        return None
    return hashlib.sha256(config.encode()).hexdigest()


def _results(summary: Mapping[str, Any] | None, keys: Sequence[str] = ('mean',)) -> dict[str, Any]:
    sets = summary['sets'] if summary else {}
    found = {f'{name}/{label}': [measured[key] for key in keys] for name, entry in sets.items()
             for label, measured in entry['metrics'].items()}
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _card(metadata: dict[str, Any], network: RestorationNetwork, file: Path, digest: str,
          found: dict[str, Any]) -> str:
    from restorekit.text_table import markdown_table
    from restorekit.zoo.card import front_matter, training_lines
    from restorekit.zoo.index import list_models
    name, (introduction, sections) = metadata['name'], found['notes']
    use = f'restorekit restore photo.jpg -o restored --model {name}' if name in list_models() else \
        f'restorekit restore photo.jpg -o restored --checkpoint {file.name}'
    lines = ['---', *front_matter(metadata['licence']), 'library_name: restorekit',
             'pipeline_tag: image-to-image', 'tags: [image-restoration, dehazing]', '---', '', f'# {name}', '']
    lines += [f'{text}\n' for text in (metadata['summary'], introduction) if text]
    lines += ['## Use', '', '```bash', use, '```', '', '## Figures', '']
    if found['figures']:
        record = found['report']['provenance']
        lines += [f'Means over the images of each test set; the input, the methods, the interval and the worst image '
                  f'are in {next(iter(found["report"]["definitions"]))}. Measured on {record["date"][:10]} with '
                  f'restorekit {record["versions"]["restorekit"]} and the config `{record["config"]}`.', '',
                  found['figures'], '']
    else:
        lines += ['None were measured.', '']
    lines += [sections or '## Failures\n\nNobody has described them.', '', '## Training', '', *training_lines(
        found['phases'], found['source'], found['checkpoint'], found['seed'], metadata['config_sha256']), '']
    lines += [line for table in (found['weights'], found['data']) if table for line in (table, '')]
    if found['data'] and found['hashed']:
        lines += ['The hash of a set (its first 16 of 64 digits) is over the contents of all files in order; for '
                  'scenes drawn by code, over settings.', '']
    divisor = network.size_divisor
    facts = [('network', f'`{type(network).__name__}`'), ('parameters', f'{metadata["parameters"]:,}'),
             ('input, output', f'{network.input_range}, {network.output_range}'),
             ('sizes', 'any' + (f'; padded to multiples of {divisor}' if divisor > 1 else '')),
             ('licence', metadata['licence']), ('file', f'`{file.name}`, {file.stat().st_size:,} bytes'),
             ('file, sha256', f'`{digest}`')]
    return '\n'.join([*lines, '## File', '', markdown_table([('', 'what'), *facts], left=(0, 1)), ''])

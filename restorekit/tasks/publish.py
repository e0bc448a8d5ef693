"""Publish a trained network: one file that says what it is, and a model card."""

from __future__ import annotations

import hashlib
import json
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
        file (Path): ``NAME-<first 8 digits of its SHA-256>.safetensors``.
        card (Path): The model card, ``NAME.md``.
        sha256 (str): SHA-256 (hex) of the file.
        metadata (dict): What the file says of itself.
    """

    file: Path
    card: Path
    sha256: str
    metadata: dict[str, Any]


def publish(checkpoint: PathLike, name: str, *, out: PathLike = '.', licence: str, summary: str = '',
            report: PathLike | None = None, dtype: str = 'float16', force: bool = False) -> PublishReport:
    """Write the network of a checkpoint as safetensors and a model card beside it.

    The file holds, as data, the network's description, its ranges and sizes, the licence, the hash of the training
    config and the results; :func:`restorekit.load` needs nothing else. Its name ends in its hash, which is checked
    where it is downloaded.

    Args:
        checkpoint (str | Path): A checkpoint of a training run of restorekit.
        name (str): Name of the model: up to 200 letters, digits, ``.``, ``_`` and ``-``.
        out (str | Path): Folder to write to; it is made.
        licence (str): SPDX identifier of the licence of the weights, for example ``'Apache-2.0'``.
        summary (str): What the model is for, one line.
        report (str | Path, optional): Folder that ``restorekit test`` wrote, whose means become the results.
        dtype (str): ``'float16'`` (half the size), ``'bfloat16'`` or ``'float32'``.
        force (bool): Overwrite what is there.

    Returns:
        PublishReport: Files, hash and metadata.

    Raises:
        InputError: If the name or ``dtype`` is not allowed, or the licence is empty.
        ExistingFileError: If a file is there and ``force`` is False.
        MissingFileError, ReportError: If the report is not there, or is none.
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
    from restorekit.messages import ExistingFileError, InputError
    from restorekit.zoo.pack import pack_network
    if not re.fullmatch(r'[A-Za-z0-9][A-Za-z0-9._-]{,199}', name):
        raise InputError('the name of a model is up to 200 letters, digits, dots, underscores and hyphens, but got '
                         f'{name[:250]!r}')
    if not licence.strip():
        raise InputError('say under which licence the weights may be used, for example --licence Apache-2.0')
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    card = out / f'{name}.md'
    if card.exists() and not force:
        raise ExistingFileError(f'{card} is there already; choose another name, or --force to overwrite it')
    content = load_checkpoint_file(str(checkpoint), map_location='cpu')
    network = build_described_network(network_description(content, checkpoint), network_state(content, checkpoint),
                                      checkpoint)
    metadata = dict(name=name, licence=licence, summary=summary, results=_results(report),
                    config_sha256=_config_hash(content), input_range=list(network.input_range),
                    output_range=list(network.output_range), size_divisor=network.size_divisor,
                    parameters=sum(parameter.numel() for parameter in network.parameters()))
    draft = out / f'.{name}.safetensors'
    digest = pack_network(checkpoint, draft, dtype=dtype, metadata=metadata, overwrite=True)
    file = out / f'{name}-{digest[:8]}.safetensors'
    draft.replace(file)
    atomic_write_text(_card(metadata, network, file, digest, dtype), str(card))
    return PublishReport(file, card, digest, metadata)


def _config_hash(content: dict[str, Any]) -> str | None:
    """SHA-256 of the training config in a checkpoint; None without one."""
    record = content['meta']['restorekit']  # it says what network it holds
    record = json.loads(record) if isinstance(record, str) else record
    config = record.get('config')
    if not isinstance(config, str):
        return None
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _results(report: PathLike | None) -> dict[str, Any]:
    from restorekit.evaluation.report_reader import read_means
    from restorekit.messages import MissingFileError
    if report is None:
        return {}
    path = Path(report) / 'summary.json'
    if not path.is_file():
        raise MissingFileError(f'{report} is not a report of restorekit test: there is no {path}')
    return read_means(path)


def _card(metadata: dict[str, Any], network: RestorationNetwork, file: Path, digest: str, dtype: str) -> str:
    from restorekit.text_table import markdown_table
    lines = ['---', f'license: {metadata["licence"].lower()}', 'library_name: restorekit',
             'pipeline_tag: image-to-image', 'tags: [image-restoration, dehazing]', '---', '',
             f'# {metadata["name"]}', '']
    if metadata['summary']:
        lines += [metadata['summary'], '']
    facts = [('network', f'`{type(network).__name__}`'), ('parameters', f'{metadata["parameters"]:,}'),
             ('numbers', dtype), ('input, output', f'{network.input_range}, {network.output_range}'),
             ('sizes', f'any; padded to multiples of {network.size_divisor}'), ('licence', metadata['licence']),
             ('training config, SHA-256', metadata['config_sha256'] or 'not known'), ('file, SHA-256', digest)]
    lines += [markdown_table([('', 'what'), *facts], left=(0, 1)), '', '## Use', '', '```',
              f'pip install restorekit\nrestorekit restore photo.jpg --checkpoint {file.name} -o out', '```', '']
    if metadata['results']:
        rows = [(key.rpartition('/')[0], key.rpartition('/')[2], '-' if value is None else f'{value:.4f}')
                for key, value in metadata['results'].items()]
        lines += ['## Results', '', markdown_table([('set', 'metric', 'mean'), *rows], left=(0, 1)), '']
    else:
        lines += ['## Results', '', 'None were measured.', '']
    return '\n'.join(lines)

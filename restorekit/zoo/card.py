"""The model card of a published network, from its checkpoint, its run, its reports and a file of notes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from restorekit.evaluation.report_reader import read_summary
from restorekit.files.download import file_hash
from restorekit.messages import InputError, MissingFileError
from restorekit.registry import MODELS
from restorekit.text_table import markdown_table

STATE_FILE = 'run_state.json'
# licences that the Hugging Face Hub knows by these names; any other is called 'other' there, with a name of its own
HUB_LICENCES = {
    'agpl-3.0', 'apache-2.0', 'artistic-2.0', 'bsd-2-clause', 'bsd-3-clause', 'bsd-3-clause-clear', 'bsl-1.0',
    'cc-by-3.0', 'cc-by-4.0', 'cc-by-nc-3.0', 'cc-by-nc-4.0', 'cc-by-nc-nd-3.0', 'cc-by-nc-nd-4.0', 'cc-by-nc-sa-3.0',
    'cc-by-nc-sa-4.0', 'cc-by-nd-4.0', 'cc-by-sa-3.0', 'cc-by-sa-4.0', 'cc0-1.0', 'cdla-permissive-2.0', 'epl-2.0',
    'eupl-1.1', 'gpl-2.0', 'gpl-3.0', 'isc', 'lgpl-2.1', 'lgpl-3.0', 'mit', 'mpl-2.0', 'ms-pl', 'ncsa', 'osl-3.0',
    'postgresql', 'unlicense', 'wtfpl', 'zlib'}


def read_report(folder: str | PathLike[str]) -> dict[str, Any]:
    """Return the summary of a folder that ``restorekit test`` wrote.

    Raises:
        MissingFileError: If the summary is not there.
        ReportError: If it is not the summary of a report.
    """
    path = Path(folder) / 'summary.json'
    if not path.is_file():
        raise MissingFileError(f'{folder} is not a report of restorekit test: there is no {path}')
    return read_summary(path)


def read_notes(file: str | PathLike[str] | None) -> tuple[str, str]:
    """Return a Markdown file of notes as what stands before its first ``##`` heading, and the rest."""
    if file is None:
        return '', ''
    path = Path(file)
    if not path.is_file():
        raise MissingFileError(f'the notes {path} are not there')
    text = path.read_text(encoding='utf-8').strip()
    start = re.search(r'^## ', text, re.MULTILINE)
    return (text, '') if start is None else (text[:start.start()].strip(), text[start.start():].strip())


def read_facts(file: str | PathLike[str] | None) -> dict[str, dict[str, str]]:
    """Return what a YAML file says of datasets: ``data`` (origin and licence by name) and ``sets`` (titles of tests).

    Raises:
        MissingFileError: If it is not there.
        InputError: If it holds anything else.
    """
    import yaml
    if file is None:
        return dict(data={}, sets={})
    if not Path(file).is_file():
        raise MissingFileError(f'the facts {file} are not there')
    try:
        found = yaml.safe_load(Path(file).read_text(encoding='utf-8')) or {}
    except yaml.YAMLError as error:
        raise InputError(f'{file} is not YAML: {" ".join(str(error).split())}') from error
    parts = found.values() if isinstance(found, dict) else [None]
    if not isinstance(found, dict) or not set(found) <= {'data', 'sets'} or \
            not all(isinstance(part, dict) for part in parts):
        raise InputError(f'{file} must hold dicts of texts called data (origin and licence of each training set) and '
                         f'sets (title of each test set), but got {str(found)[:80]}')
    return {key: {str(name): str(text) for name, text in (found.get(key) or {}).items()} for key in ('data', 'sets')}


def read_runs(checkpoint: str | PathLike[str], folders: Sequence[str | PathLike[str]] = ()
              ) -> dict[str, dict[str, Any]]:
    """Return by phase what is recorded of the run that wrote a checkpoint, in the order of training.

    Args:
        checkpoint (str | Path): Without ``folders``, the run is looked for in its folder and the one above.
        folders (Sequence[str | Path]): Work dirs; several where the phases were trained in different ones.

    Returns:
        dict[str, dict]: ``iterations``, ``seconds`` and ``config`` of each phase; empty where nothing is recorded.

    Raises:
        MissingFileError: If a folder of ``folders`` is no work dir.
    """
    near = [folder for folder in (Path(checkpoint).parent, Path(checkpoint).parent.parent)
            if (folder / STATE_FILE).is_file()][:1]
    phases: dict[str, dict[str, Any]] = {}
    for folder in map(Path, folders or near):
        if not (folder / STATE_FILE).is_file():
            raise MissingFileError(f'{folder} is not the work dir of a run: there is no {folder / STATE_FILE}')
        state = json.loads((folder / STATE_FILE).read_text(encoding='utf-8'))
        configs = state.get('configs', {})
        for name in dict.fromkeys([*configs, *state['phases']]):
            record = state['phases'].get(name, {})
            phases[name] = dict(iterations=record.get('iterations'), seconds=record.get('seconds') or 0,
                                config=configs.get(name, {}))
    return phases


def front_matter(licence: str) -> list[str]:
    """Return the lines of a card's YAML on its licence, as the Hugging Face Hub reads them.

    Args:
        licence (str): An identifier that the Hub knows, in SPDX's spelling or its own, or any sentence.

    Example:
        >>> front_matter('Apache-2.0')
        ['license: apache-2.0']
        >>> front_matter('research use (as its training data)')
        ['license: other', 'license_name: research-use']
    """
    known = licence.strip().lower().removesuffix('-only').removesuffix('-or-later')
    if known in HUB_LICENCES:
        return [f'license: {known}']
    name = re.sub(r'[^a-z0-9.]+', '-', licence.partition('(')[0].lower()).strip('-.')
    return ['license: other', f'license_name: {name or "other"}']


def figures_table(name: str, reports: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    """Return a Markdown table of a report by test set, those of other methods beside it.

    Columns: images, the input, each other method, the model with its 95 % interval and its worst image by the first
    metric; then the means of the other metrics.

    Args:
        name (str): The model, a key of ``reports``; the others are compared with it.
        reports (Mapping): Summaries by method, see :func:`read_report`.
        titles (Mapping): What to call the test sets.

    Raises:
        InputError: If a report lacks a set or metric of the model's, or is over other images.
    """
    ours = reports[name]
    first, *more = ours['definitions']
    others = [method for method in reports if method != name]
    rows: list[Sequence[object]] = [('test set', 'images', 'input', *others, name, '95 % interval', 'worst', *more)]
    for key, entry in ours['sets'].items():
        found = entry['metrics'][first]
        given = '-' if found['input_mean'] is None else f'{found["input_mean"]:.2f}'
        beside = []
        for method in others:
            other = reports[method]['sets'].get(key)
            if other is None or first not in other['metrics']:
                raise InputError(f'the report of {method} has no {first} of the set {key}; test it on the same sets')
            if other['list_hash'] != entry['list_hash']:
                raise InputError(f'the report of {method} is over other images of the set {key} than that of {name}')
            beside.append(_shown(other['metrics'][first]['mean'], 2))
        interval = '-' if found['low'] is None else f'{found["low"]:.2f} to {found["high"]:.2f}'
        worst = _shown(found['worst'][0]['value'], 2) if found['worst'] else '-'
        rows.append((titles.get(key, key), found['n'], given, *beside, _shown(found['mean'], 2), interval, worst,
                     *(_shown(entry['metrics'][label]['mean'], 3) for label in more)))
    return markdown_table(rows, left=(0,))


def data_table(phases: Mapping[str, Mapping[str, Any]], origins: Mapping[str, str],
               data_root: str | PathLike[str] | None = None) -> str:
    """Return a Markdown table of the training data: items, share of the draws in each phase, origin, hash.

    Args:
        phases (Mapping): Of :func:`read_runs`.
        origins (Mapping): Origin and licence by the name of a dataset.
        data_root (str | Path, optional): Where the data lies now, to count and hash it.
    """
    shares: dict[str, dict[str, float]] = {}
    nodes: dict[str, Mapping[str, Any]] = {}
    for phase, record in phases.items():
        dataset = (record['config'].get('train_dataloader') or {}).get('dataset')
        for key, node, share in _leaves(dataset, 'train', 1.0):
            nodes[key] = node
            shares.setdefault(key, {})[phase] = share
    rows: list[Sequence[object]] = [('set', 'items', *(f'share in {phase}' for phase in phases),
                                     'origin and licence', 'sha256')]
    for key, node in nodes.items():
        items, digest = ('-', '-') if data_root is None else _counted(node, data_root)
        drawn = 'scenes drawn by code' if node.get('type') == 'ProceduralScenes' else 'not stated'
        rows.append((key, items, *(f'{shares[key].get(phase, 0):.3g}' for phase in phases),
                     origins.get(key, drawn), digest))
    return markdown_table(rows, left=(0, len(phases) + 2, len(phases) + 3))


def weights_table(phases: Mapping[str, Mapping[str, Any]], origins: Mapping[str, str]) -> str:
    """Return a Markdown table of the weights that the network was started from; '' if it was drawn at random.

    Args:
        phases (Mapping): Of :func:`read_runs`.
        origins (Mapping): Origin and licence by the name of a component, in place of what its class says
            (``published``), or of ``load_from``.
    """
    rows: list[Sequence[object]] = [('begins with', 'origin and licence', 'sha256')]
    configs = [record['config'] for record in phases.values()]
    for node in {json.dumps(node, sort_keys=True): node for config in configs for node in _pretrained(
            (config.get('model') or {}).get('network'))}.values():
        name, given = str(node['type']), node['pretrained']
        facts = getattr(MODELS.get(name), 'published', {}) if given is True else {}
        rows.append((name, origins.get(name, facts.get('origin', 'not stated' if given is True else f'`{given}`')),
                     f'`{facts["sha256"]}`' if facts else '-'))
    start = configs[0].get('load_from') if configs else None
    if start:
        digest = f'`{file_hash(start)}`' if Path(start).is_file() else '-'
        rows.append((f'`{Path(start).name}`', origins.get('load_from', 'not stated'), digest))
    return markdown_table(rows, left=(0, 1, 2)) if rows[1:] else ''


def _pretrained(node: Any) -> list[Mapping[str, Any]]:
    """The components below a node of a config that read weights when training starts."""
    if isinstance(node, (list, tuple)):
        return [found for part in node for found in _pretrained(part)]
    if not isinstance(node, Mapping):
        return []
    own = [node] if node.get('type') and node.get('pretrained') else []
    return own + [found for part in node.values() for found in _pretrained(part)]


def content_hash(dataset: Any) -> str:
    """Return the SHA-256 over the contents of all files of a dataset, in order; of its settings without files."""
    digest, found = hashlib.sha256(), False
    for index in range(len(dataset)):
        for path in sorted(str(path) for path in dataset.files(index).values()):
            digest.update(Path(path).read_bytes())
            found = True
    return digest.hexdigest() if found else str(dataset.list_hash())


def _leaves(node: Any, name: str, share: float) -> list[tuple[str, Mapping[str, Any], float]]:
    """The datasets below a node of a config with their names and shares of the draws."""
    if not isinstance(node, Mapping):
        return []
    if node.get('type') == 'DomainPairDataset':
        return [leaf for part in ('source', 'target') for leaf in _leaves(node.get(part), part, share)]
    parts = node.get('datasets')
    if parts is None:
        inner = node.get('dataset')
        return _leaves(inner, name, share) if isinstance(inner, Mapping) else [(name, node, share)]
    named = parts.items() if isinstance(parts, Mapping) else [(f'{name} {i}', part) for i, part in enumerate(parts)]
    kept = [(str(key), part) for key, part in named if part is not None]
    given = node.get('weights')
    weights = [given.get(key, 0) for key, _ in kept] if isinstance(given, Mapping) else given or [1] * len(kept)
    return [leaf for (key, part), weight in zip(kept, weights, strict=True)
            for leaf in _leaves(part, key, share * weight / (sum(weights) or 1))]


def _counted(node: Mapping[str, Any], data_root: str | PathLike[str]) -> tuple[str, str]:
    from mmengine.config import ConfigDict

    from restorekit.engine import check_paths, join_data_root
    from restorekit.registry import DATASETS
    cfg = ConfigDict(train_dataloader=dict(dataset=dict(node)), data_root=str(data_root))
    join_data_root(cfg)
    check_paths(cfg, 'the run', splits=('train',))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    return str(len(dataset)), f'`{content_hash(dataset)[:16]}`'


def training_lines(phases: Mapping[str, Mapping[str, Any]], checkpoint_sha256: str, checkpoint: str | PathLike[str],
                   seed: object, config_sha256: str | None) -> list[str]:
    """Return lines on how the network was trained."""
    minutes = sum(record['seconds'] for record in phases.values()) / 60
    steps = ', '.join(f'{name}: {record["iterations"] or "cut before its end"}' for name, record in phases.items())
    lines = [f'- iterations: {steps}; {minutes:.0f} minutes of wall time'] if phases else []
    return [*lines, f'- seed: {"not known" if seed is None else seed}',
            *_config_lines(config_sha256, Path(checkpoint).name),
            f'- checkpoint: `{Path(checkpoint).name}`, sha256 `{checkpoint_sha256}`']


def _config_lines(sha256: str | None, checkpoint: str) -> list[str]:
    if sha256 is None:
        return ['- config: not known']
    text = f"torch.load('{checkpoint}')['meta']['restorekit']['config']"
    return [f'- config, sha256: `{sha256}`, of no file but of the text `{text}`: JSON of the config of the last phase, '
            'with its bases, options and paths']


def _shown(value: float | None, digits: int) -> str:
    return '-' if value is None else f'{value:.{digits}f}'

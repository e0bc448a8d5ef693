"""What a test measures: test sets and metrics by name, as configs."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from restorekit.config import ConfigError, configs_root, load_config
from restorekit.messages import MissingFileError, did_you_mean
from restorekit.registry import METRICS

from .metrics.fidelity import ColourMetric
from .protocols import get_protocol


def dataset_base(name: str | Path) -> Path:
    """Return the file of a test set: a config file, or a name below ``configs/_base_/datasets/``.

    Raises:
        FileNotFoundError: If there is none; the message gives the nearest names.
    """
    if Path(name).is_file():
        return Path(name)
    folder = configs_root() / '_base_' / 'datasets'
    known = {file.stem: file for file in sorted(folder.glob('*.py'))}
    stem = str(name).removesuffix('.py')
    if stem not in known:
        raise MissingFileError(f'--data: there is no file {str(name)!r}, and no dataset of that name in {folder}; '
                               f'{did_you_mean(name, known, "there are " + ", ".join(known))}')
    return known[stem]


def join_sets(names: Iterable[str | Path], loader: dict[str, Any] | None) -> dict[str, Any]:
    """Return one test_dataloader of several test sets, each drawn as it is alone.

    Each without a domain gets the name of its config.

    Args:
        names (list[str | Path]): As for :func:`dataset_base`.
        loader (dict, optional): A test_dataloader of which all but the dataset is kept.

    Raises:
        ConfigError: If a config names no test set, or one is named twice.
    """
    datasets: dict[str, dict[str, Any]] = {}
    domains: set[str | None] = set()
    for name in names:
        cfg, label = load_config(dataset_base(name)), Path(name).stem
        found = cfg.to_dict().get('test_dataloader') or cfg.to_dict().get('val_dataloader')
        if found is None:
            raise ConfigError(f'{cfg.filename} has no test_dataloader, so --data {name} names no test set')
        if label in datasets:
            raise ConfigError(f'--data names {label!r} twice')
        dataset, loader = found['dataset'], loader or found
        name_set(dataset, label, domains)
        domains.add(dataset.get('domain'))
        datasets[label] = dataset
    if len(datasets) == 1:
        return dict(loader or {}, dataset=datasets[label])
    return dict(loader or {}, dataset=dict(type='ConcatDataset', datasets=datasets, own_draws=True))


def name_set(dataset: dict[str, Any], label: str, taken: Collection[str | None] = ()) -> None:
    """Give the config of a dataset, or of each part, the domain ``label`` if it has none, or one that is taken."""
    kind = str(dataset.get('type')).rpartition('.')[2]
    if kind == 'ConcatDataset':
        parts = dataset['datasets']
        for part in parts.values() if isinstance(parts, dict) else parts:
            name_set(part, label)
    elif kind != 'DomainPairDataset':
        default = 'source' if kind == 'UnpairedDataset' else None
        if dataset.get('domain', default) in (None, *taken):
            dataset['domain'] = label


def metric_configs(configured: dict[str, Any] | Sequence[dict[str, Any]] | None, protocols: Sequence[str] = (),
                   names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the configs of metrics: the given ones, or PSNR and SSIM by each protocol; and further ones by name.

    A further metric that looks at colours is left out under protocols that keep none.

    Args:
        configured (dict | list[dict], optional): A config's ``test_evaluator``.
        protocols (list[str]): Names of protocols; any replaces what is configured.
        names (list[str]): Further metrics; one that has a protocol is measured by each.

    Raises:
        ConfigError: If no protocol keeps the colours that a metric looks at.
    """
    chosen = [configured] if isinstance(configured, dict) else configured
    if protocols or chosen is None:
        chosen = [dict(type=name, protocol=protocol) for protocol in protocols or ['rgb'] for name in ('PSNR', 'SSIM')]
    chosen = list(chosen)
    for name in names:
        metric = METRICS.get(name)
        if 'protocol' in inspect.signature(metric).parameters:
            found = [protocol for protocol in protocols or ['rgb']
                     if not issubclass(metric, ColourMetric) or get_protocol(protocol).colour == 'rgb']
            if not found:
                raise ConfigError(f'{name} looks at colours; no protocol of {", ".join(protocols)} keeps them')
            chosen += [dict(type=name, protocol=protocol) for protocol in found]
        else:
            chosen.append(dict(type=name))
    return chosen

"""What there is: networks, configs and named weights."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

KINDS = ('network', 'config', 'weights')


@dataclass(frozen=True)
class CatalogueEntry:
    """One network, config or file of weights.

    Attributes:
        kind (str): 'network', 'config' or 'weights'.
        name (str): What to write in a config, after ``restorekit train``, or in :func:`restorekit.load`.
        summary (str): One line.
        parameters (int | None): Numbers learned; None where that depends on arguments.
        macs (int | None): Multiply-adds for an image of 256x256.
        licence (str | None): Licence of the weights: the authors' of a network or config, our own of named weights.
        results (list[dict]): As the metafile has them: ``Task``, ``Dataset``, ``Metrics``.
        facts (dict): More facts: ``data``, ``paper``, ``path``, ``tiling``, ``options`` and so on.
    """

    kind: str
    name: str
    summary: str
    parameters: int | None = None
    macs: int | None = None
    licence: str | None = None
    results: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def catalogue(pattern: str = '*', *, kinds: tuple[str, ...] = KINDS) -> list[CatalogueEntry]:
    """List what comes with restorekit, from docstrings, signatures, metafiles and the index of weights.

    Args:
        pattern (str): Glob over names, case does not matter; a name without ``*`` finds all that contain it.
        kinds (tuple[str, ...]): Of 'network', 'config' and 'weights'.

    Returns:
        list[CatalogueEntry]: By kind, then by name.

    Raises:
        InputError: For another kind.

    Example:
        >>> [entry.name for entry in catalogue('gunet', kinds=('network',))]
        ['GUNet']
    """
    from restorekit.messages import InputError
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise InputError(f'kinds must be among {", ".join(map(repr, KINDS))}, but got {", ".join(map(repr, unknown))}')
    sources = dict(network=_networks, config=_configs, weights=_weights)
    wanted = (pattern if any(sign in pattern for sign in '*?[') else f'*{pattern}*').lower()
    return [entry for kind in KINDS if kind in kinds
            for entry in sorted(sources[kind](), key=lambda entry: entry.name.lower())
            if fnmatchcase(entry.name.lower(), wanted)]


def catalogue_entry(name: str) -> CatalogueEntry:
    """Return the entry called ``name``, of any kind; case does not matter.

    Raises:
        UnknownNameError: If there is none; the message gives the nearest names.

    Example:
        >>> catalogue_entry('FFANet').facts['tiling']
        'approximate'
    """
    from restorekit.messages import UnknownNameError, unknown_name_message
    entries = catalogue()
    for entry in reversed(entries):  # weights first: they are what one can use at once
        if entry.name.lower() == name.lower():
            return entry
    raise UnknownNameError(unknown_name_message(name, {entry.name for entry in entries}, 'catalogue of models'))


def facts(entry: CatalogueEntry) -> dict[str, Any]:
    """Return what is known of an entry, name by name, in the order to show it.

    Example:
        >>> facts(catalogue_entry('unet'))['tiling']
        'exact'
    """
    known = dict(kind=entry.kind, name=entry.name, summary=entry.summary, parameters=entry.parameters, macs=entry.macs,
                 licence=entry.licence, **entry.facts)
    for result in entry.results:
        known[f'{result.get("Task", "result")} on {result["Dataset"]}'] = result['Metrics']
    return {key: value for key, value in known.items() if value is not None}


def _networks() -> Iterator[CatalogueEntry]:
    from restorekit.models import RestorationNetwork
    from restorekit.registry import MODELS
    MODELS.import_from_location()
    for name, network in MODELS.module_dict.items():
        if inspect.isclass(network) and issubclass(network, RestorationNetwork):
            options = {key: _shown(parameter) for key, parameter in inspect.signature(network).parameters.items()
                       if key != 'init_cfg'}
            yield CatalogueEntry(
                'network', name, _first_line(network), licence=network.weights_licence,
                facts={'module': network.__module__, 'input range': network.input_range,
                       'output range': network.output_range, 'tiling': network.tiling,
                       'embedding': network.embed is not RestorationNetwork.embed, 'options': options})


def _shown(parameter: inspect.Parameter) -> object:
    return 'required' if parameter.default is parameter.empty else parameter.default


def _first_line(component: type) -> str:
    return (inspect.getdoc(component) or '').split('\n\n')[0].replace('\n', ' ').replace('``', '').rstrip('.')


def _configs() -> Iterator[CatalogueEntry]:
    import yaml

    from restorekit.config import configs_root
    root = configs_root()
    for path in sorted(root.rglob('metafile.yml')):
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        papers = {part['Name']: part.get('Paper') or {} for part in content.get('Collections') or ()}
        for model in content['Models']:
            data, paper = model.get('Metadata') or {}, papers.get(model.get('In Collection'), {})
            facts = {'path': model['Config'].removeprefix('configs/'), 'data': data.get('Training Data'),
                     'paper': paper.get('Title'), 'link': paper.get('URL')}
            yield CatalogueEntry(
                'config', model['Name'], model.get('In Collection', ''), data.get('Parameters'), data.get('MACs'),
                data.get("Licence of the Authors' Weights"), model.get('Results') or [],
                {key: value for key, value in facts.items() if value is not None})


def _weights() -> Iterator[CatalogueEntry]:
    from restorekit.zoo.index import find_model, list_models
    for name in list_models():
        model = find_model(name)
        yield CatalogueEntry('weights', name, model.summary, _parameters(model.path), licence=model.licence,
                             facts=dict(path=str(model.path), bytes=model.path.stat().st_size))


def _parameters(path: Path) -> int:
    """Count the numbers in a safetensors file from its header."""
    from safetensors import safe_open
    with safe_open(str(path), framework='np') as file:
        sizes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118 (no mapping)
    total = 0
    for size in sizes:
        count = 1
        for side in size:
            count *= side
        total += count
    return total

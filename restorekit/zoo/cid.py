"""CID's published checkpoints, to restorekit's names and back.

The mapping renames and does nothing else, and it is strict: 990 tensors, each of the expected shape, no more and no
fewer. A file that differs is refused with every differing key named. The output range is not guessed from a file: the
decoder declares it (see ``CIDDecoder``).
"""

from __future__ import annotations

import functools
from os import PathLike
from pathlib import Path

import torch

from restorekit.checkpoint.state_dict import state_dict_problems
from restorekit.messages import ExistingFileError, InputError, MissingFileError
from restorekit.registry import MODELS

State = dict[str, torch.Tensor]
Report = list[tuple[str, str]]

CID_NETWORK = dict(
    type='EncoderDecoder',
    encoder=dict(type='Res2Net', depth=101, out_indices=(0, 1, 2)),
    decoder=dict(type='CIDDecoder'))

# published name, our name; the first that fits the start of a key is replaced
_MODULES = (
    ('encoder.', 'encoder.'),
    ('mid_conv.', 'decoder.mid_block.'),
    ('attention1.', 'decoder.attention_blocks.0.'),
    ('attention2.', 'decoder.attention_blocks.1.'),
    ('enhancer.conv1010.', 'decoder.enhancer.pool_convs.0.'),
    ('enhancer.conv1020.', 'decoder.enhancer.pool_convs.1.'),
    ('enhancer.conv1030.', 'decoder.enhancer.pool_convs.2.'),
    ('enhancer.conv1040.', 'decoder.enhancer.pool_convs.3.'),
    ('enhancer.batch1.', 'decoder.enhancer.unused_norm.'),
    ('enhancer.', 'decoder.enhancer.'),
    ('tail1.', 'decoder.tail.'),
)
# the same inside a key
_PARTS = (
    ('.calayer.ca.', '.channel_attention.gate.'),
    ('.palayer.pa.', '.pixel_attention.gate.'),
)


def published_to_restorekit(state: State) -> tuple[State, Report]:
    """Rename a published state dict of CID to the names of ``CID_NETWORK``.

    Args:
        state (dict[str, Tensor]): The published state dict, with or without ``module.`` before every key.

    Returns:
        tuple[dict[str, Tensor], list[tuple[str, str]]]: The renamed state dict, which ``load_state_dict`` of the
        network takes strictly, and the report: (published name, our name) of every tensor.

    Raises:
        ValueError: If any key is missing, unexpected or of the wrong shape; all are named, in published names.
    """
    names = _published_names()
    if not isinstance(state, dict):
        raise InputError(f'a state dict holds tensors by name, but got a {type(state).__name__}')
    odd = [key for key, value in state.items() if not isinstance(key, str) or not isinstance(value, torch.Tensor)]
    if odd:
        raise InputError(f'a state dict holds tensors by name, but got the entry {str(odd[0])[:100]!r}')
    state = _strip('module.', state)
    expected = {published: tensor for published, (_, tensor) in names.items()}
    _check(state, expected, "CID's published network")
    report = [(published, names[published][0]) for published in state]
    return {ours: state[published] for published, ours in report}, report


def restorekit_to_published(state: State) -> tuple[State, Report]:
    """Rename a state dict of ``CID_NETWORK`` to the published names; the inverse of ``published_to_restorekit``.

    Args:
        state (dict[str, Tensor]): The state dict of the network, with or without ``network.`` before every key.

    Returns:
        tuple[dict[str, Tensor], list[tuple[str, str]]]: The renamed state dict (without ``module.``) and the report:
        (our name, published name) of every tensor.

    Raises:
        ValueError: If any key is missing, unexpected or of the wrong shape; all are named.
    """
    names = _published_names()
    published = {ours: name for name, (ours, _) in names.items()}
    state = _strip('network.', state)
    _check(state, dict(names.values()), "restorekit's CID network")
    report = [(ours, published[ours]) for ours in state]
    return {name: state[ours] for ours, name in report}, report


def convert_cid_file(source: str | PathLike[str], target: str | PathLike[str], reverse: bool = False,
                     force: bool = False) -> tuple[State, Report]:
    """Convert a checkpoint file of CID.

    Reading runs no code from the file. Writing is atomic.

    Args:
        source (str): A published checkpoint, ``{'model': {'module.<key>': tensor}}`` or a bare state dict; with
            ``reverse``, a checkpoint of restorekit or a bare state dict of the network.
        target (str): The file to write: a checkpoint of restorekit, or a bare state dict of the network if it ends in
            ``.safetensors``; with ``reverse``, ``{'model': {'module.<key>': tensor}}``.
        reverse (bool): Convert from restorekit to the published form.
        force (bool): Overwrite ``target`` if it exists.

    Returns:
        tuple[dict[str, Tensor], list[tuple[str, str]]]: The converted state dict and the report.

    Raises:
        FileExistsError: If ``target`` exists and ``force`` is not given.
        ValueError: If the file holds another network.
        restorekit.checkpoint.CheckpointError: If the file is damaged, or would run code when loaded.
    """
    from restorekit.checkpoint import atomic_save, load_checkpoint_file, network_json, network_state
    target = Path(target)
    if target.exists() and not force:
        raise ExistingFileError(f'{target} exists; give another name, or --force to overwrite it')
    if not target.parent.is_dir():
        raise MissingFileError(f'{target} cannot be written: there is no folder {target.parent}')
    bare = target.suffix == '.safetensors'
    if bare and reverse:
        raise InputError(f'{target}: the published form is a dict of dicts, which safetensors cannot hold; '
                         'name it .pk or .pth')
    content = load_checkpoint_file(str(source), map_location='cpu')
    if reverse:
        try:
            state, report = restorekit_to_published(network_state(content, str(source)))
        except InputError as error:
            raise InputError(f'{source}: {error}') from error
        atomic_save({'model': {f'module.{key}': value for key, value in state.items()}}, str(target))
        return state, report
    try:
        state, report = published_to_restorekit(content.get('model', content.get('state_dict', content)))
    except InputError as error:
        raise InputError(f'{source}: {error}') from error
    if bare:
        _save_safetensors(state, target)
    else:
        meta = dict(restorekit=dict(format=1, network=network_json(CID_NETWORK)))
        atomic_save(dict(meta=meta, state_dict={f'network.{key}': value for key, value in state.items()}), str(target))
    return state, report


@functools.cache
def _published_names() -> dict[str, tuple[str, torch.Tensor]]:
    """Return {published name: (our name, a meta tensor of its shape)} in the order of the network."""
    with torch.device('meta'):
        network = MODELS.build(CID_NETWORK)
    return {_to_published(ours): (ours, tensor) for ours, tensor in network.state_dict().items()}


def _to_published(key: str) -> str:
    for published, ours in _PARTS:
        key = key.replace(ours, published)
    published, ours = next(pair for pair in _MODULES if key.startswith(pair[1]))
    return published + key.removeprefix(ours)


def _strip(prefix: str, state: State) -> State:
    if all(key.startswith(prefix) for key in state):
        return {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _check(state: State, expected: State, what: str) -> None:
    problems = state_dict_problems(state, expected)
    if problems:
        raise InputError(f'these {len(state)} entries are not the {len(expected)} tensors of {what}.\n  '
                         + '\n  '.join(problems))


def _save_safetensors(state: State, path: Path) -> None:
    from safetensors.torch import save

    from restorekit.files.atomic import atomic_write_bytes
    atomic_write_bytes(save({key: value.contiguous() for key, value in state.items()}), path)

"""Packing a trained network into a small file that says what it is."""

from __future__ import annotations

import hashlib
import json
from os import PathLike
from pathlib import Path

import torch

from restorekit.checkpoint import (
    CheckpointError,
    build_described_network,
    load_checkpoint_file,
    network_description,
    network_json,
    network_state,
)
from restorekit.files.atomic import atomic_write_bytes
from restorekit.messages import ExistingFileError, InputError, MissingFileError
from restorekit.version import __version__

DTYPES = {'float16': torch.float16, 'bfloat16': torch.bfloat16, 'float32': torch.float32}


def pack_network(checkpoint: str | PathLike, target: str | PathLike, *, dtype: str = 'float16',
                 metadata: dict | None = None, overwrite: bool = False) -> str:
    """Write the network of a checkpoint of restorekit as safetensors, in half precision by default.

    Where the run kept an average of its weights (EMA), a checkpoint's ``state_dict`` holds the averaged ones. The file
    says in its metadata, under ``restorekit``, what network it holds, so that it loads without a config.

    Args:
        checkpoint (str | Path): A checkpoint of a training run.
        target (str | Path): The file to write; ends in ``.safetensors``.
        dtype (str): ``'float16'``, ``'bfloat16'`` or ``'float32'``.
        metadata (dict, optional): More plain data for ``restorekit`` in the metadata: licence, results and so on.
        overwrite (bool): Whether ``target`` may be there already.

    Returns:
        str: SHA-256 (hex) of the file.

    Raises:
        CheckpointError: If the checkpoint does not say what network it holds, or holds another, or a weight is not
            finite (in ``dtype``).
        InputError: If ``dtype`` or the suffix of ``target`` is unknown.
        ExistingFileError: If ``target`` is there and ``overwrite`` is not given.

    Example:
        >>> pack_network('work_dirs/haze/iter_2400.pth', 'haze.safetensors')  # doctest: +SKIP
        '0f3a...'
    """
    from safetensors.torch import save
    target = Path(target)
    if dtype not in DTYPES:
        raise InputError(f'dtype must be one of {", ".join(map(repr, DTYPES))}, but got {dtype!r}')
    if target.suffix != '.safetensors':
        raise InputError(f'the packed file must end in .safetensors, but got {target}')
    if target.exists() and not overwrite:
        raise ExistingFileError(f'{target} is there already; choose another name, or overwrite it')
    loaded = load_checkpoint_file(checkpoint, map_location='cpu')
    network, found, state = network_description(loaded, checkpoint), network_state(loaded, checkpoint), {}
    build_described_network(network, found, checkpoint)  # what cannot be loaded is not packed
    for name, value in found.items():
        packed = value.to(DTYPES[dtype]) if value.is_floating_point() else value
        if packed.is_floating_point() and not packed.isfinite().all():
            raise CheckpointError(f'{checkpoint}: {name} is NaN or infinite in {dtype}')
        state[name] = packed.contiguous()
    kept = dict(version=__version__, network=network_json(network), dtype=dtype, **(metadata or {}))
    content = save(state, metadata={'restorekit': json.dumps(kept, sort_keys=True)})
    atomic_write_bytes(content, target)
    return hashlib.sha256(content).hexdigest()


def check_packed(packed: str | PathLike, checkpoint: str | PathLike) -> str:
    """Return the SHA-256 (hex) of a packed file, after comparing its weights with the checkpoint's.

    Raises:
        MissingFileError: If it is not there.
        InputError: If it holds other weights than the checkpoint, each rounded to the type that it has in the file.
        CheckpointError: If one of the files is damaged.
    """
    if not Path(packed).is_file():
        raise MissingFileError(f'the packed file {packed} is not there')
    state, wanted = (network_state(load_checkpoint_file(path)) for path in (packed, checkpoint))
    different = [name for name in {**state, **wanted} if name not in state or name not in wanted or
                 not torch.equal(state[name], wanted[name].to(state[name].dtype))]
    if different:
        raise InputError(f'{packed} does not hold the weights of {checkpoint}: {len(different)} tensors differ, first '
                         f'{different[0]}; pack the checkpoint again')
    return hashlib.sha256(Path(packed).read_bytes()).hexdigest()

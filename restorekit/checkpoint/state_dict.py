"""Comparing state dicts, so that a strict load can say what is wrong with a file; and naming weights by a hash."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def state_dict_problems(given, expected, limit=None):
    """Say how a state dict differs from the expected one in names and shapes.

    Args:
        given (dict[str, Tensor]): The state dict that was read.
        expected (dict[str, Tensor]): The state dict of the module it is meant for; only shapes are read, so tensors
            on the meta device will do.
        limit (int, optional): Name at most this many keys of each kind, and count the rest. None names all.

    Returns:
        list[str]: One line for each kind of difference (missing, unexpected, wrong shape); empty if they match.

    Example:
        >>> import torch
        >>> state_dict_problems({'bais': torch.zeros(2)}, {'bias': torch.zeros(2)})
        ["1 missing: 'bias'", "1 unexpected: 'bais'"]
    """
    missing = [_named(key) for key in expected if key not in given]
    unexpected = [_named(key) for key in given if key not in expected]
    shapes = [f'{_named(key)} is {_shape(given[key])}, not {_shape(expected[key])}'
              for key in expected if key in given and _shape(given[key]) != _shape(expected[key])]
    kinds = {'missing': missing, 'unexpected': unexpected, 'of the wrong shape': shapes}
    return [_line(kind, found, limit) for kind, found in kinds.items() if found]


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 (hex) of a module's class, and of the names, types, shapes and bytes of its state.

    Example:
        >>> from torch import nn
        >>> weights_digest(nn.ReLU()) == weights_digest(nn.ReLU()) != weights_digest(nn.SiLU())
        True
    """
    digest = hashlib.sha256(type(module).__qualname__.encode())
    for name, value in sorted(module.state_dict().items()):
        value = value.detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.flatten().numpy().tobytes())
    return digest.hexdigest()


def is_weight(value: object) -> bool:
    """Return whether a value is an ordinary tensor of real numbers: not sparse, quantized, complex or without content.

    Example:
        >>> import torch
        >>> is_weight(torch.ones(2)), is_weight(torch.ones(2, device='meta')), is_weight(torch.ones(2).to_sparse())
        (True, False, False)
    """
    import torch
    return isinstance(value, torch.Tensor) and value.layout is torch.strided and not (
        value.is_quantized or value.is_complex() or value.is_meta or value.is_nested)


def _named(key):
    text = repr(key)
    return text if len(text) <= 200 else f'{text[:200]}...'


def _shape(value):
    return tuple(value.shape) if hasattr(value, 'shape') else f'a {type(value).__name__}'


def _line(kind, found, limit):
    named = found if limit is None else found[:limit]
    rest = f' and {len(found) - len(named)} more' if len(named) < len(found) else ''
    return f'{len(found)} {kind}: {", ".join(named)}{rest}'

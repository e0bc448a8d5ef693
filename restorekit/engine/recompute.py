"""Gradient checkpointing that leaves the statistics of BatchNorm as they would be without."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recompute(model: nn.Module, names: str | Sequence[str]) -> None:
    """Have modules compute their activations again in the backward pass instead of keeping them, in place.

    The gradients are the same to the bit, dropout included, and so are BatchNorm's running statistics: MMEngine's
    ``turn_on_activation_checkpointing``, which this replaces, counts each batch twice.

    Args:
        model (nn.Module): The model.
        names (str | Sequence[str]): Names of modules, ``'network.encoder.layer1'``.
    """
    for name in [names] if isinstance(names, str) else names:
        module = model.get_submodule(name)
        module.forward = _recomputed(module, module.forward)


def _recomputed(module: nn.Module, forward: Any) -> Any:
    @functools.wraps(forward)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False,
                          context_fn=lambda: (nullcontext(), _statistics_kept(module)), **kwargs)
    return wrapper


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    buffers = [buffer for norm in module.modules() if isinstance(norm, _BatchNorm) for buffer in norm.buffers()]
    kept = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        for buffer, value in zip(buffers, kept, strict=True):
            buffer.data.copy_(value)  # through .data: autograd has these buffers on its list of saved tensors

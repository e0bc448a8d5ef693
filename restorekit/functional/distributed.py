"""Rows of a batch that is spread over processes, with gradients."""

import torch
import torch.distributed as dist


def world_size():
    """Return the number of processes, 1 when not distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank():
    """Return the index of this process, 0 when not distributed."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def gather_rows(x):
    """Return the rows of every process, in the order of the ranks; ``x`` itself when not distributed.

    The gradient of a row is the sum of what every process sends back to it. So when each process computes the same
    loss from the gathered rows, and DistributedDataParallel averages over processes, parameters get the gradient
    that one process with the whole batch would give.

    Args:
        x (Tensor): (n, ...), n may differ from process to process, the rest may not. Every process must call.

    Returns:
        Tensor: (sum of all n, ...).

    Example:
        >>> gather_rows(torch.ones(2, 3)).shape
        torch.Size([2, 3])
    """
    return x if world_size() == 1 else _GatherRows.apply(x, _row_counts(x))


def gather_rows_and_slice(x):
    """Return (:func:`gather_rows` of ``x``, the slice of it that holds this process's rows)."""
    if world_size() == 1:
        return x, slice(0, len(x))
    counts = _row_counts(x)
    start = sum(counts[:rank()])
    return _GatherRows.apply(x, counts), slice(start, start + len(x))


def _row_counts(x):
    counts = [torch.empty(1, dtype=torch.long, device=x.device) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([len(x)], device=x.device))
    return torch.cat(counts).tolist()


class _GatherRows(torch.autograd.Function):

    @staticmethod
    def forward(ctx, x, counts):
        ctx.start, ctx.length = sum(counts[:rank()]), len(x)
        # collectives want equal shapes: fill up to the longest, cut after
        filled = torch.cat([x, x.new_zeros(max(counts) - len(x), *x.shape[1:])]).contiguous()
        parts = [torch.empty_like(filled) for _ in counts]
        dist.all_gather(parts, filled)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx, grad):
        grad = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad)
        return grad[ctx.start:ctx.start + ctx.length], None

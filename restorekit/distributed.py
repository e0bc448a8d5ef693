"""Distributed training: launching, ranks, gathering."""

import gc
import os
from datetime import timedelta

import torch
import torch.distributed as dist

from restorekit.messages import InputError, UnavailableError

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
_MEET_WITHIN = timedelta(minutes=5)  # torch waits 30, also where the launcher was killed and nobody will ever come
_started = False  # a group, by init_distributed
#: What is read from the environment, and who sets it.
_ENVIRONMENT = {
    'pytorch': (('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
                'torchrun sets them: start with `torchrun --nproc-per-node 2 tools/train.py CONFIG --launcher '
                'pytorch`'),
    'slurm': (('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
              'Slurm sets them: start with `srun --ntasks-per-node 2 python tools/train.py CONFIG --launcher slurm`'),
    'mpi': (('OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'MASTER_ADDR'),
            'Open MPI sets all but the last: start with `mpirun -np 2 -x MASTER_ADDR=HOST python tools/train.py CONFIG '
            '--launcher mpi`')}


def init_distributed(launcher):
    """Start the process group of ``launcher``; call it before a Runner is built, which then leaves it alone.

    With CUDA this is mmengine's own start (nccl). Without, ``'pytorch'`` (torchrun) uses gloo, which mmengine cannot.

    Args:
        launcher (str): 'none' (does nothing), 'pytorch', 'slurm' or 'mpi'.

    Raises:
        ValueError: If there is no such launcher.
        RuntimeError: If 'slurm' or 'mpi' is asked for without CUDA, or a launcher has not started this process; if
            there are more processes on this machine than GPUs; or if the others do not come within five minutes.

    Example:
        >>> init_distributed('none')
    """
    if launcher not in LAUNCHERS:
        raise InputError(f'launcher is {launcher!r}; it can be {", ".join(LAUNCHERS)}')
    global _started
    if launcher == 'none' or dist.is_initialized():
        return
    cuda = torch.cuda.is_available()
    if not cuda and launcher != 'pytorch':
        raise UnavailableError(f'launcher={launcher!r} needs CUDA, and torch finds none here; without a GPU start with '
                               "torchrun and launcher='pytorch', or one process with launcher='none'")
    needed, remedy = _ENVIRONMENT[launcher]
    missing = [name for name in needed if name not in os.environ]
    if missing:
        raise UnavailableError(f'launcher={launcher!r} needs {", ".join(missing)} in the environment. {remedy}')
    if cuda:
        from mmengine.dist import init_dist
        if launcher == 'mpi':  # mmengine reads it for the device, but leaves LOCAL_RANK, which it wraps models by
            os.environ['LOCAL_RANK'] = os.environ['OMPI_COMM_WORLD_LOCAL_RANK']
        number = os.environ.get('SLURM_LOCALID') if launcher == 'slurm' else os.environ['LOCAL_RANK']
        if number is not None and int(number) >= torch.cuda.device_count():
            raise UnavailableError(
                f'process {number} of this machine, counted from 0, has no GPU of its own: torch finds '
                f'{torch.cuda.device_count()}. Start at most one process per GPU'
                + ', and let each see all of them (--gpus-per-node, not --gpus-per-task)' * (launcher == 'slurm'))
        init_dist(launcher, backend='nccl', **(_meet() if launcher == 'pytorch' else {}))
    else:
        dist.init_process_group('gloo', **_meet())
    _started = True


def _meet():
    """Return the store where the processes of torchrun meet, as arguments of ``init_process_group``."""
    try:
        store, number, count = next(dist.rendezvous('env://', timeout=_MEET_WITHIN))
    except dist.DistError as error:
        address = f'{os.environ["MASTER_ADDR"]}:{os.environ["MASTER_PORT"]}'
        raise UnavailableError(f'process {os.environ["RANK"]} of {os.environ["WORLD_SIZE"]} has not met the others at '
                               f'{address} within {_MEET_WITHIN.seconds} s; look why they, or their launcher, have '
                               f'ended, or whether a firewall is between ({error})') from error
    store.set_timeout(dist.default_pg_timeout)
    return dict(store=store, rank=number, world_size=count)


def end_distributed():
    """End the process group that :func:`init_distributed` has started, if any, and the threads that serve it.

    The C++ runtime may abort a process that exits while those threads run. Models wrapped for the group keep them
    alive: call this when all processes are done with theirs.

    Example:
        >>> end_distributed()
    """
    global _started
    if _started and dist.is_initialized():
        gc.collect()  # runners and their models, which refer to each other
        dist.destroy_process_group()
    _started = False


def model_wrapper_cfg():
    """Return the config of the data-parallel wrapper: mmengine's default takes GPU numbers, which a CPU does not have.

    Example:
        >>> model_wrapper_cfg()['type']
        'MMDistributedDataParallel'
    """
    cfg = {'type': 'MMDistributedDataParallel'}  # broadcasts rank 0's buffers, which are what a checkpoint holds
    return cfg if torch.cuda.is_available() else {**cfg, 'device_ids': None}


def run_on_main(function, *args):
    """Call ``function`` on rank 0 and return its result, or raise its error, on every rank."""
    outcome = None
    if not dist.is_initialized() or dist.get_rank() == 0:
        try:
            outcome = (function(*args), None)
        except Exception as error:
            outcome = (None, error)
    result, error = broadcast_object(outcome)
    if error is not None:
        raise error
    return result


def broadcast_object(value):
    """Return rank 0's ``value`` on every rank (plain data; nothing happens in a single process)."""
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


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

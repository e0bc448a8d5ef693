"""Start of distributed training, also on machines without a GPU."""

import os

import torch
from torch import distributed

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def init_distributed(launcher):
    """Start the process group of ``launcher``; call it before a Runner is built, which then leaves it alone.

    With CUDA this is mmengine's own start (nccl). Without, ``'pytorch'`` (torchrun) uses gloo, which mmengine cannot.

    Args:
        launcher (str): 'none' (does nothing), 'pytorch', 'slurm' or 'mpi'.

    Raises:
        ValueError: If there is no such launcher.
        RuntimeError: If 'slurm' or 'mpi' is asked for without CUDA, or 'pytorch' outside torchrun.

    Example:
        >>> init_distributed('none')
    """
    if launcher not in LAUNCHERS:
        raise ValueError(f'launcher is {launcher!r}; it can be {", ".join(LAUNCHERS)}')
    if launcher == 'none' or distributed.is_initialized():
        return
    if launcher == 'pytorch':
        missing = [name for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
                   if name not in os.environ]
        if missing:
            raise RuntimeError(f"launcher='pytorch' needs {', '.join(missing)} in the environment. torchrun sets them: "
                               'start with `torchrun --nproc-per-node 2 tools/train.py CONFIG --launcher pytorch`')
    if torch.cuda.is_available():
        from mmengine.dist import init_dist
        if launcher == 'mpi':  # mmengine reads it for the device, but leaves LOCAL_RANK, which it wraps models by
            os.environ['LOCAL_RANK'] = os.environ['OMPI_COMM_WORLD_LOCAL_RANK']
        init_dist(launcher, backend='nccl')
    elif launcher == 'pytorch':
        distributed.init_process_group('gloo')
    else:
        raise RuntimeError(f'launcher={launcher!r} needs CUDA, and torch finds none here; without a GPU start with '
                           "torchrun and launcher='pytorch', or one process with launcher='none'")


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
    if not distributed.is_initialized() or distributed.get_rank() == 0:
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
    if not distributed.is_initialized():
        return value
    box = [value]
    distributed.broadcast_object_list(box)
    return box[0]

"""How much memory is free, and how much a forward pass takes."""

from __future__ import annotations

import copy
import os
import weakref
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from restorekit.messages import UserError

#: Assumed where the system does not say what is free.
_UNKNOWN = 4 * 2 ** 30
_CONVOLUTIONS = ('convolution', 'convolution_overrideable', 'mkldnn_convolution', '_convolution')


class ImageMemoryError(UserError, MemoryError):
    """An image needs more memory than is free."""


def free_memory(device: torch.device | str = 'cpu') -> int:
    """Return the bytes that can still be taken: of the GPU, or of the CPU within the limits of this process.

    On the CPU that is the least of what the system has available, what the control groups (containers, Slurm) leave and
    what ``ulimit -v`` leaves.

    Example:
        >>> free_memory() > 0
        True
    """
    device = torch.device(device)
    if device.type == 'cuda':
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(0, min([_UNKNOWN] if not (found := [*_available(), *_control_groups(), *_address_space()]) else found))


def _available():
    try:
        for line in Path('/proc/meminfo').read_text().splitlines():
            if line.startswith('MemAvailable:'):
                yield int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        if hasattr(os, 'sysconf') and 'SC_AVPHYS_PAGES' in os.sysconf_names:
            yield os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def _control_groups():
    for limit, used in (('memory.max', 'memory.current'),
                        ('memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes')):
        try:
            yield int(Path('/sys/fs/cgroup', limit).read_text()) - int(Path('/sys/fs/cgroup', used).read_text())
        except (OSError, ValueError):  # no such group, or 'max'
            continue


def _address_space():
    try:
        import resource
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            yield limit - int(Path('/proc/self/statm').read_text().split()[0]) * os.sysconf('SC_PAGE_SIZE')
    except (ImportError, OSError, ValueError):
        return


class _Live(TorchDispatchMode):
    """Follows the bytes of living tensors; ``peak`` is the most at one time, scratch of convolutions included."""

    def __init__(self):
        super().__init__()
        self.now, self.peak, self.seen = 0, 0, {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in (result if isinstance(result, (tuple, list)) else [result]) if torch.is_tensor(x)]
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key = id(storage)
            if key not in self.seen:
                size = storage.nbytes()
                self.seen[key] = size
                self.now += size
                weakref.finalize(storage, self._free, key)
        scratch = 0
        if func.overloadpacket.__name__ in _CONVOLUTIONS:  # oneDNN and cuDNN copy input and output to their layouts
            scratch = sum(x.numel() * x.element_size() for x in (args[0], *tensors))
        self.peak = max(self.peak, self.now + scratch)
        return result

    def _free(self, key):
        self.now -= self.seen.pop(key, 0)


def forward_memory(network: torch.nn.Module, height: int, width: int) -> int:
    """Return the bytes that a forward pass of one float32 image takes beyond the weights, input and output included.

    Measured, not guessed: the network is run on the meta device, where tensors have sizes but no content, and the
    bytes of living tensors are counted. A network that cannot run there runs on a small image, and the count grows
    with the pixels.

    Args:
        network (nn.Module): Its own weights are neither changed nor copied.
        height, width (int): Padded size of the image.

    Example:
        >>> forward_memory(torch.nn.Conv2d(3, 8, 1), 100, 100)  # input and output, twice
        880000
    """
    try:
        memo = {}
        for tensor in (*network.parameters(), *network.buffers()):
            shape = tensor.detach().to('meta')
            is_parameter = isinstance(tensor, torch.nn.Parameter)
            memo[id(tensor)] = torch.nn.Parameter(shape, requires_grad=False) if is_parameter else shape
        return _peak(copy.deepcopy(network, memo).eval(), torch.empty(1, 3, height, width, device='meta'))
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError):
        divisor, smallest = getattr(network, 'size_divisor', 1), getattr(network, 'min_size', 1)
        side = -(-max(128, smallest) // divisor) * divisor
        if side * side > height * width:
            side = max(height, width)
        device = next(network.parameters(), torch.empty(0)).device
        return round(_peak(network, torch.rand(1, 3, side, side, device=device)) * height * width / side ** 2)


@torch.no_grad()
def _peak(network, x):
    live = _Live()
    live.now = live.peak = x.numel() * x.element_size()
    live.seen[id(x.untyped_storage())] = 0
    with live:
        network(x)
    return live.peak


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that an allocator (of Python, torch on CPU or GPU, or OpenCV) got no memory.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError('shape'))
        (True, False)
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error)
    return isinstance(error, (RuntimeError, SystemError)) and (
        "can't allocate memory" in text or 'out of memory' in text.lower() or 'Insufficient memory' in text
        or 'Failed to allocate' in text or 'bad allocation' in text or 'could not create a memory' in text)


def megabytes(size: float) -> str:
    """Return a number of bytes for people.

    Example:
        >>> megabytes(3 * 2 ** 30), megabytes(5 * 2 ** 20)
        ('3.0 GiB', '5 MiB')
    """
    return f'{size / 2 ** 30:.1f} GiB' if size >= 2 ** 30 else f'{size / 2 ** 20:.0f} MiB'

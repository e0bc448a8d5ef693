"""How much memory is free, and what running out of it looks like."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from restorekit.messages import UserError

if TYPE_CHECKING:
    import torch

#: Assumed where the system does not say what is free.
_UNKNOWN = 4 * 2 ** 30


class ImageMemoryError(UserError, MemoryError):
    """An image needs more memory than is free."""


def free_memory(device: str | torch.device = 'cpu') -> int:
    """Return the bytes that can still be taken: of the GPU, or of the CPU within the limits of this process.

    On the CPU that is the least of what the system has available, what the control groups (containers, Slurm) leave and
    what ``ulimit -v`` leaves.

    Example:
        >>> free_memory() > 0
        True
    """
    if str(device).startswith('cuda'):
        import torch
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(0, min([_UNKNOWN] if not (found := [*_available(), *_control_groups(), *_address_space()]) else found))


def _available() -> Iterator[int]:
    try:
        for line in Path('/proc/meminfo').read_text().splitlines():
            if line.startswith('MemAvailable:'):
                yield int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        if hasattr(os, 'sysconf') and 'SC_AVPHYS_PAGES' in os.sysconf_names:
            yield os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def _control_groups() -> Iterator[int]:
    for limit, used in (('memory.max', 'memory.current'),
                        ('memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes')):
        try:
            yield int(Path('/sys/fs/cgroup', limit).read_text()) - int(Path('/sys/fs/cgroup', used).read_text())
        except (OSError, ValueError):  # no such group, or 'max'
            continue


def _address_space() -> Iterator[int]:
    try:
        import resource
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            yield limit - int(Path('/proc/self/statm').read_text().split()[0]) * os.sysconf('SC_PAGE_SIZE')
    except (ImportError, OSError, ValueError):
        return


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that an allocator (of Python, torch on CPU or GPU, or OpenCV) got no memory.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError('shape'))
        (True, False)
    """
    imported = sys.modules.get('torch')
    if isinstance(error, MemoryError) or (imported and isinstance(error, imported.OutOfMemoryError)):
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

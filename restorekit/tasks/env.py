"""Describes the installation: versions, hardware, extras, and versions with known faults."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from dataclasses import dataclass, field

#: Package, versions below this, what is wrong with them.
FAULTS = (
    ('torch', '2.6', 'torch.load(weights_only=True) can be made to run code (CVE-2025-32434)'),
    ('mmengine', '0.10.7', 'it cannot resume its own checkpoints with torch 2.6 and later'),
    ('opencv-python', '4.11', 'it cannot read images as RGB (IMREAD_COLOR_RGB)'),
    ('numpy', '1.26', 'restorekit is not tested with it'),
    ('safetensors', '0.4', 'restorekit is not tested with it'),
    ('pillow', '10.3', 'a crafted image can overflow a buffer (CVE-2024-28219)'),
    ('gradio', '4.44.1', 'its server can be made to show files of the machine (CVE-2024-47164 and others)'),
)
CLASHES = (('opencv-python', 'opencv-python-headless'), ('opencv-python', 'opencv-contrib-python'),
           ('mmcv-lite', 'mmcv'), ('mmengine', 'onedl-mmengine'))
PACKAGES = ('torch', 'torchvision', 'mmengine', 'mmcv-lite', 'numpy', 'opencv-python', 'safetensors', 'tensorboard')


@dataclass
class Environment:
    """What :func:`env` found.

    Attributes:
        versions (dict[str, str | None]): Version of Python, restorekit and its dependencies; None if missing.
        hardware (dict[str, str]): Processor, cores, memory, accelerators.
        extras (dict[str, dict[str, str | None]]): For each extra the version of each of its packages.
        problems (list[str]): One sentence for each version with a known fault and each clash; empty if there is none.
    """

    versions: dict[str, str | None] = field(default_factory=dict)
    hardware: dict[str, str] = field(default_factory=dict)
    extras: dict[str, dict[str, str | None]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def env(*, hardware: bool = True) -> Environment:
    """Describe this installation.

    Args:
        hardware (bool): Look for accelerators, which imports torch.

    Returns:
        Environment: Versions, hardware, extras and problems.

    Example:
        >>> env(hardware=False).versions['python'].count('.')
        2
    """
    from restorekit.version import __version__
    found = Environment()
    found.versions = {'python': platform.python_version(), 'restorekit': __version__,
                      **{name: version(name) for name in PACKAGES}}
    found.extras = _extras()
    found.problems = problems({**found.versions, **{name: version(name) for name, *_ in FAULTS},
                               **{name: version(name) for pair in CLASHES for name in pair}})
    found.hardware = _hardware() if hardware else {}
    return found


def version(package: str) -> str | None:
    """Return the installed version of a package, None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def problems(versions: dict[str, str | None]) -> list[str]:
    """Return a sentence for each version with a known fault and for each pair of packages that clash.

    Args:
        versions (dict[str, str | None]): Installed versions by package.

    Example:
        >>> problems({'torch': '2.5.1'})[0][:36]
        'torch 2.5.1 is older than 2.6: torch'
    """
    found = []
    for package, least, reason in FAULTS:
        installed = versions.get(package)
        if installed and _numbers(installed) < _numbers(least):
            found.append(f'{package} {installed} is older than {least}: {reason}; '
                         f'python -m pip install "{package}>={least}"')
    for one, other in CLASHES:
        if versions.get(one) and versions.get(other):
            found.append(f'{one} and {other} are both installed and overwrite each other; uninstall both, then install '
                         f'{one} again')
    return found


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r'\d+', text.partition('+')[0])[:3])


def _extras() -> dict[str, dict[str, str | None]]:
    try:
        requirements = importlib.metadata.requires('restorekit') or []
    except importlib.metadata.PackageNotFoundError:  # run from a clone that is not installed
        return {}
    extras: dict[str, dict[str, str | None]] = {}
    for line in requirements:
        match = re.fullmatch(r'\s*([\w.-]+).*;.*extra\s*==\s*[\'"]([\w.-]+)[\'"].*', line)
        if match:
            extras.setdefault(match[2], {})[match[1]] = version(match[1])
    return extras


def _hardware() -> dict[str, str]:
    import torch

    from .process import available_cores
    found = {'processor': f'{platform.machine()}, {available_cores()} cores', 'system': platform.platform()}
    if hasattr(os, 'sysconf') and 'SC_PHYS_PAGES' in os.sysconf_names:
        found['memory'] = f'{os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2 ** 30:.1f} GiB'
    if os.path.isdir('/dev/shm'):
        shared = os.statvfs('/dev/shm')
        found['shared memory'] = f'{shared.f_blocks * shared.f_frsize / 2 ** 20:.0f} MiB (data workers use it)'
    usable = torch.cuda.is_available()  # the count is also of GPUs whose driver is too old for this torch
    for index in range(torch.cuda.device_count() if usable else 0):
        device = torch.cuda.get_device_properties(index)
        found[f'cuda:{index}'] = f'{device.name}, {device.total_memory / 2 ** 30:.0f} GiB'
    if not usable:
        found['cuda'] = 'none'
    return found

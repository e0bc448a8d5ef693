"""Compare the memory that restorekit estimates for a forward pass with what the system gives the process.

    OMP_NUM_THREADS=1 python tools/research/memory_estimate.py [NAME ...]

Linux only. Prints, for networks and sizes that the estimate was not made from, the estimate over the peak of the
resident memory of a process that runs the network on an image of noise; below 1 is too little. NAME chooses networks
whose name begins so.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import torch

import restorekit.models  # noqa: F401  registers the networks
from restorekit.inference.torch_backend import TorchBackend
from restorekit.registry import MODELS

SIZES = ((384, 640), (768, 768))
NETWORKS = {
    'ConvIR': dict(channels=16, blocks=2), 'MSBDN': dict(channels=8, blocks=4), 'GridDehazeNet': {},
    'FFANet': dict(channels=32, blocks=3), 'DEANet': dict(channels=16, fused=True),
    'Restormer': dict(channels=16, blocks=(1, 2, 2, 2), refinement_blocks=1),
    'PromptIR': dict(channels=16, blocks=(1, 1, 1, 1), refinement_blocks=1, prompt_channels=(16, 32, 64)),
    'GUNet': {}, 'DehazeFormer': {}, 'UNet': {}, 'AODNet': {}, 'ColourAttenuationPrior': {}, 'DarkChannelPrior': {}}


def main(names: list[str]) -> None:
    """Print a line per network and size."""
    torch.set_num_threads(1)
    ratios = []
    for name, options in NETWORKS.items():
        if names and not name.startswith(tuple(names)):
            continue
        backend = TorchBackend(MODELS.build(dict(type=name, **options)).eval(), 'cpu')
        for height, width in SIZES:
            estimate, real = backend.memory(height, width) / 2 ** 20, measured(backend.network, height, width)
            ratios.append(estimate / real)
            print(f'{name:23} {height}x{width}  estimate {estimate:7.1f} MiB  system {real:7.1f} MiB  '
                  f'ratio {ratios[-1]:.2f}', flush=True)
    if ratios:
        print(f'{len(ratios)} ratios from {min(ratios):.2f} to {max(ratios):.2f}')


def measured(network: torch.nn.Module, height: int, width: int) -> float:
    """Return the MiB by which the resident memory of a forked process grows at most during a pass."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with torch.no_grad():
            network(torch.rand(1, 3, 256, 256))  # what is made once
            image = torch.rand(1, 3, height, width)
            Path('/proc/self/clear_refs').write_text('5')  # the peak counts from here
            before = _status('VmRSS')
            network(image)
            peak = _status('VmHWM')
        os.write(writer, str(peak - before + image.nbytes / 2 ** 20).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as file:
        return float(file.read())


def _status(key: str) -> float:
    return int(re.search(rf'{key}:\s+(\d+) kB', Path('/proc/self/status').read_text())[1]) / 1024


if __name__ == '__main__':
    main(sys.argv[1:])

"""Export the networks whose graphs torch takes longest to write: what tests/contracts leaves out to stay short.

    python tools/research/export_networks.py

Each is built, traced, written as ONNX and compared with the pipeline at three sizes, as the others are in
``tests/contracts/test_every_network_exports.py``. About two minutes on one core. Exits with 1 at the first difference.
"""

import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / 'tests' / folder) for folder in ('contracts', 'helpers')]

import test_every_network_exports as contract
import torch


def main():
    """Check the long ones, a line for each."""
    torch.set_num_threads(1)
    for network in contract.NETWORKS:
        if network.id in contract.LONG:
            start = time.process_time()
            nodes = contract.check_export(network.values[0])
            kind = 'traced' if nodes > 2000 else 'traced and written as ONNX'
            print(f'{network.id}: {nodes} nodes, {kind}, equal ({time.process_time() - start:.0f} CPU s)', flush=True)


if __name__ == '__main__':
    main()

"""What depends on the machine that runs the tests: whether it has a GPU, and where its packages lie."""

import os
from pathlib import Path

import pytest
import torch

import restorekit

#: Of tests whose forked children use a model.
forks = pytest.mark.skipif(torch.cuda.is_available(),
                           reason='forked children cannot use CUDA; CUDA_VISIBLE_DEVICES= runs it')


def alike(expected):
    """Equal; of numbers on a GPU, almost: cuDNN sums batches of another size in another order."""
    return pytest.approx(expected, rel=1e-5) if torch.cuda.is_available() else expected


def environment(*folders, **variables):
    """The environment of a child that imports this restorekit, and the packages that this process finds."""
    found = [Path(restorekit.__file__).parents[1], *folders, *filter(None, [os.environ.get('PYTHONPATH')])]
    return dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, found)), **variables)

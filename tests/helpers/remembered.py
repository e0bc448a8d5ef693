"""What whole runs need and do not test is worked out once per process: scenes, and the operations of a network."""

from functools import cache

import pytest

from restorekit.models.cost import network_cost
from restorekit.scenes import render_scene

_render = cache(render_scene)
_costs = {}


def _scene(*arguments):
    return tuple(array.copy() for array in _render(*arguments))


def _cost(network, height, width):
    key = str(network), height, width
    if key not in _costs:
        _costs[key] = network_cost(network, height, width)
    return _costs[key]


@pytest.fixture(scope='module', autouse=True)
def remembered():
    """Import it into a ``conftest.py``, and its folder's runs take two thirds of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('restorekit.datasets.procedural.render_scene', _scene)
        patch.setattr('restorekit.engine.summary.network_cost', _cost)
        yield

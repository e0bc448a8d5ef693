import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from restorekit.random import derive_seed, seed_generators, seeded_generators


def test_derive_seed_is_fixed_for_all_time():
    # runs are replayed from these numbers: a change here makes every saved run another one
    assert derive_seed() == 0x243F6A8885A308D3 >> 1
    assert derive_seed(0) == 1610172448792072464
    assert derive_seed(1, 2, 3) == 7405809139744024400


@given(st.lists(st.integers(0, 2**63), min_size=2, max_size=4, unique=True))
def test_order_matters_and_seeds_are_63_bit(numbers):
    assert 0 <= derive_seed(*numbers) < 2**63
    assert derive_seed(*numbers) != derive_seed(*reversed(numbers))


def test_derived_seeds_are_spread():
    uniform = np.array([derive_seed(7, i) for i in range(4000)]) / 2**63
    assert abs(uniform.mean() - 0.5) < 0.02 and abs(uniform.var() - 1 / 12) < 0.005
    assert len(set(uniform)) == 4000


def test_seeded_block_is_repeatable_and_leaves_no_trace():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()
    seed_generators(3)
    before = draw()
    seed_generators(3)
    with seeded_generators(5):
        first = draw()
    with seeded_generators(5):
        assert draw() == first
    assert draw() == before

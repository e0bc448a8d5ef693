"""Counter-based randomness: a value depends on the numbers it is named by, never on what was drawn before."""

import contextlib
import random

import numpy as np
import torch

_MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def splitmix64(state):
    """Advance SplitMix64 once (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).

    Args:
        state (int | ndarray): One integer in [0, 2**64), or any number of them as uint64.

    Returns:
        int | ndarray: The mixed output, of the same kind.

    Example:
        >>> hex(splitmix64(0))
        '0xe220a8397b1dcdaf'
    """
    state = (state + GOLDEN) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


def derive_seed(*numbers):
    """Mix integers into one 63-bit seed (SplitMix64, Steele et al. 2014, applied to each number in turn).

    Args:
        *numbers (int): Any integers, for example the run's seed, the rank and the iteration. Order matters.

    Returns:
        int: A seed in [0, 2**63).

    Example:
        >>> derive_seed(0, 1) == derive_seed(0, 1) != derive_seed(1, 0)
        True
    """
    state = 0x243F6A8885A308D3
    for number in numbers:
        state = splitmix64(state ^ (int(number) & _MASK))
    return state >> 1


def seed_generators(seed):
    """Seed Python's, numpy's and torch's (CPU and CUDA) global generators from one integer."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # torch.manual_seed formats three stack traces where it is not
        torch.cuda.manual_seed_all(seed)


@contextlib.contextmanager
def seeded_generators(seed):
    """Seed the global CPU generators inside the block and put their former state back after it."""
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)

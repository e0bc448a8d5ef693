"""What degradations draw from: counter-based numbers, checked ranges, and random fields rebuilt from seeds."""

import functools
import zlib

import cv2
import numpy as np
import torch

from restorekit.messages import InputError, InputTypeError
from restorekit.random import GOLDEN, derive_seed, splitmix64


class Draw:
    """Counter-based draws for a vector of seeds: what is drawn depends on the seed and the key alone.

    SplitMix64 (Steele et al. 2014) of (seed, key, counter), over all samples at once.

    Args:
        seeds (sequence of int): One per sample.

    Example:
        >>> Draw([1, 2]).uniform('beta', 0.5, 1.5).shape
        torch.Size([2])
    """

    def __init__(self, seeds):
        self.seeds = np.array([int(seed) & 0xFFFFFFFFFFFFFFFF for seed in seeds], dtype=np.uint64)

    def __len__(self):
        return len(self.seeds)

    def _bits(self, key, size):
        key = np.uint64(zlib.crc32(str(key).encode()))
        state = splitmix64(splitmix64(self.seeds) ^ key)
        return splitmix64(state[:, None] + np.arange(1, size + 1, dtype=np.uint64) * np.uint64(GOLDEN))

    def _unit(self, key, size):
        return (self._bits(key, size or 1) >> np.uint64(11)).astype(np.float64) * 2.0 ** -53

    @staticmethod
    def _tensor(values, size, dtype=torch.float32):
        return torch.from_numpy(np.ascontiguousarray(values if size else values[:, 0])).to(dtype)

    def uniform(self, key, low=0., high=1., size=None):
        """Draw from U[low, high): (N,), or (N, size)."""
        return self._tensor(low + (high - low) * self._unit(key, size), size)

    def log_uniform(self, key, low, high, size=None):
        """Draw with a uniform logarithm between ``low`` > 0 and ``high``."""
        low, high = np.log(low), np.log(high)
        return self._tensor(np.exp(low + (high - low) * self._unit(key, size)), size)

    def normal(self, key, mean=0., std=1., size=None):
        """Draw from a normal distribution (Box and Muller 1958): (N,), or (N, size)."""
        unit = self._unit(key, 2 * (size or 1))
        values = np.sqrt(-2 * np.log1p(-unit[:, ::2])) * np.cos(2 * np.pi * unit[:, 1::2])
        return self._tensor(mean + std * values, size)

    def integers(self, key, low, high):
        """Draw integers from low to high, both included: (N,) int64."""
        values = np.minimum(low + np.floor(self._unit(key, 1) * (high - low + 1)), high)
        return self._tensor(values, None, torch.int64)

    def choice(self, key, weights):
        """Draw indices with probabilities proportional to ``weights``: (N,) int64."""
        edges = np.cumsum(np.asarray(weights, dtype=np.float64))
        index = np.searchsorted(edges / edges[-1], self._unit(key, 1)[:, 0], side='right')
        return torch.from_numpy(np.minimum(index, np.flatnonzero(weights)[-1])).to(torch.int64)

    def permutation(self, key, size):
        """Draw orders of ``range(size)``: (N, size) int64."""
        return self._tensor(np.argsort(self._unit(key, size), axis=1, kind='stable'), size, torch.int64)

    def seed(self, key):
        """Derive a child seed for each sample: (N,) int64 >= 0."""
        key = zlib.crc32(str(key).encode())
        return torch.tensor([derive_seed(int(seed), key) for seed in self.seeds], dtype=torch.int64)


MAX_EXTINCTION = 1e4  # per unit of depth; times any depth it stays finite
MAX_HUE = 10  # turns


def check_range(name, value, minimum=None, maximum=None):
    """Return ``value`` (a number, or a pair low, high) as a pair of floats.

    Args:
        name (str): What the error should call it.
        value (float or sequence): The range.
        minimum, maximum (float, optional): Bounds that both ends must keep.

    Raises:
        TypeError: If it is neither a number nor a pair of numbers.
        ValueError: If low > high, or an end is not finite or out of bounds.

    Example:
        >>> check_range('beta', 0.5), check_range('beta', (0.5, 2))
        ((0.5, 0.5), (0.5, 2.0))
    """
    pair = (value, value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(
            isinstance(end, (int, float)) and not isinstance(end, bool) for end in pair):
        raise InputTypeError(f'{name} must be a number or a pair (low, high), but got {value!r}')
    try:
        low, high = float(pair[0]), float(pair[1])
    except OverflowError:  # an integer beyond all floats
        low = high = float('inf')
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f'{name} must be finite, but got {value!r}')
    if low > high:
        raise InputError(f'{name} must be (low, high) with low <= high, but got {value!r}')
    if (minimum is not None and low < minimum) or (maximum is not None and high > maximum):
        allowed = (f'at least {minimum}' if maximum is None else f'at most {maximum}' if minimum is None
                   else f'within [{minimum}, {maximum}]')
        raise InputError(f'{name} must be {allowed}, but got {value!r}')
    return low, high


def check_choice(name, value, allowed):
    """Return ``value`` if it is one of ``allowed``; otherwise raise a ValueError that names them."""
    if value not in allowed:
        raise InputError(f'{name} must be one of {", ".join(map(repr, allowed))}, but got {value!r}')
    return value


def per_sample(value, like):
    """Reshape a parameter (N,), (N,C) or (N,C,H,W) so that it multiplies ``like`` (N,C,H,W), on its device."""
    if value.dim() < 4:
        value = value.reshape(*value.shape, *(1,) * (4 - value.dim()))
    return value.to(device=like.device, dtype=like.dtype)


@functools.lru_cache(maxsize=1)
def _normal_table():
    centre = (torch.arange(65536, dtype=torch.float64) + 0.5) / 65536
    table = torch.special.ndtri(centre)
    return (table / table.square().mean().sqrt()).float().numpy()


def normal_field(seeds, channels, height, width):
    """Rebuild a field of independent normal numbers for each seed, on the CPU.

    A 16-bit Philox4x64 (Salmon et al. 2011) word per value, through a table of the normal quantiles: unit variance,
    cut at 4.3 sigma, five times faster than an exact draw and not to be told from it once an image has 8 bits.

    Args:
        seeds (Tensor): (N,) int64.
        channels, height, width (int): Shape of one field.

    Returns:
        Tensor: (N,channels,height,width) float32.

    Example:
        >>> normal_field(torch.tensor([7]), 3, 4, 4).shape
        torch.Size([1, 3, 4, 4])
    """
    count = channels * height * width
    field = np.empty((len(seeds), count), np.float32)
    for row, seed in zip(field, seeds.tolist(), strict=True):
        words = np.random.Philox(key=seed).random_raw(-(-count // 4)).view(np.uint16)[:count]
        np.take(_normal_table(), words, out=row, mode='clip')
    return torch.from_numpy(field.reshape(len(seeds), channels, height, width))


def fractal_noise(seeds, height, width, period=1 / 3, octaves=4, persistence=0.5):
    """Rebuild a field of fractal value noise for each seed, on the CPU.

    A sum over octaves of random lattices, cubically interpolated, each of half the period and ``persistence`` times the
    amplitude of the one before (Perlin 1985, Musgrave 2003); scaled to fill [0, 1]. It is made on a grid of at most
    96 points a side and enlarged bilinearly, and its shape relative to the image does not depend on the image's size.

    Args:
        seeds (Tensor): (N,) int64.
        height, width (int): Size of the field.
        period (float or Tensor): Lattice spacing of the first octave as a fraction of the longer side; (N,) gives
            each field its own.
        octaves (int): Number of octaves.
        persistence (float): Amplitude ratio of successive octaves.

    Returns:
        Tensor: (N,1,height,width) float32 in [0, 1].

    Example:
        >>> fractal_noise(torch.tensor([7]), 32, 48).shape
        torch.Size([1, 1, 32, 48])
    """
    longest = max(height, width)
    scale = min(1., 96 / longest)
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    fields = np.empty((len(seeds), height, width), np.float32)
    periods = torch.as_tensor(period).expand(len(seeds)).tolist()
    for field, seed, period in zip(fields, seeds.tolist(), periods, strict=True):
        generator = np.random.Generator(np.random.Philox(key=seed))
        total = np.zeros((small[1], small[0]), np.float32)
        for octave in range(octaves):
            spacing = period / 2 ** octave
            cells = [max(2, int(np.ceil(side / longest / spacing)) + 1) for side in (height, width)]
            lattice = generator.random(cells, dtype=np.float32)
            total += persistence ** octave * cv2.resize(lattice, small, interpolation=cv2.INTER_CUBIC)
        low, high = float(total.min()), float(total.max())
        total = (total - low) / (high - low) if high > low else np.full_like(total, 0.5)
        field[:] = cv2.resize(total, (width, height), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(fields)[:, None]

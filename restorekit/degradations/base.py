"""What every degradation shares: drawing, checking, replaying."""

import functools
import zlib

import cv2
import numpy as np
import torch

from restorekit.messages import InputError, InputTypeError
from restorekit.random import GOLDEN, derive_seed, splitmix64

from .params import params_length

_TOLERANCE = 1e-4


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
        raise InputTypeError(f'{name} must be a number or a pair (low, high), got {value!r}')
    low, high = float(pair[0]), float(pair[1])
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f'{name} must be finite, got {value!r}')
    if low > high:
        raise InputError(f'{name} must be (low, high) with low <= high, got {value!r}')
    if (minimum is not None and low < minimum) or (maximum is not None and high > maximum):
        allowed = (f'at least {minimum}' if maximum is None else f'at most {maximum}' if minimum is None
                   else f'within [{minimum}, {maximum}]')
        raise InputError(f'{name} must be {allowed}, got {value!r}')
    return low, high


def check_choice(name, value, allowed):
    """Return ``value`` if it is one of ``allowed``; otherwise raise a ValueError that names them."""
    if value not in allowed:
        raise InputError(f'{name} must be one of {", ".join(map(repr, allowed))}, got {value!r}')
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


class Degradation:
    """Base of every degradation: clear image (and depth) to degraded image.

    A subclass defines ``draw(draw, height, width) -> params`` with ``draw`` a :class:`Draw`, and
    ``degrade(image, depth, params) -> image``, pure tensor arithmetic that need not clip. ``params`` is a plain dict
    of CPU tensors whose first dimension is the batch (float32, int64 or bool), or of such dicts.

    Class attribute ``needs_depth`` says whether ``degrade`` reads the depth. Where it does, ``missing_depth`` says
    what happens without one.

    Args:
        missing_depth (str): ``'proxy'`` invents a depth with :class:`ProxyDepth` from the sample's seed; ``'error'``
            refuses.

    Example:
        >>> import torch
        >>> from restorekit.degradations import AtmosphericScattering
        >>> hazy, params = AtmosphericScattering()(torch.rand(1, 3, 8, 8), seeds=[0])
        >>> hazy.shape
        torch.Size([1, 3, 8, 8])
    """

    needs_depth = False

    def __init__(self, missing_depth='proxy'):
        self.missing_depth = check_choice('missing_depth', missing_depth, ('proxy', 'error'))

    def draw(self, draw, height, width):
        """Draw one set of parameters for each of ``len(draw)`` samples."""
        raise TypeError(f'{type(self).__name__} must define draw(draw, height, width)')

    def degrade(self, image, depth, params):
        """Compute the degraded image (N,3,H,W) from checked inputs; need not clip."""
        raise TypeError(f'{type(self).__name__} must define degrade(image, depth, params)')

    def sample(self, seeds, height, width):
        """Draw parameters, one set per seed.

        Args:
            seeds (sequence of int): One per sample.
            height, width (int): Size of the images.

        Returns:
            dict: Names to CPU tensors with first dimension ``len(seeds)``.
        """
        if isinstance(seeds, int):
            raise TypeError(f'seeds must be a sequence with one integer per sample, got the integer {seeds}')
        seeds = seeds.tolist() if torch.is_tensor(seeds) else list(seeds)
        draw = Draw(seeds)
        params = self.draw(draw, height, width)
        if self.needs_depth and self.missing_depth == 'proxy':
            params['proxy_seed'] = draw.seed('proxy')
        return params

    def apply(self, image, depth, params):
        """Degrade images with given parameters.

        Args:
            image (Tensor): (N,3,H,W) float RGB in [0, 1].
            depth (Tensor or None): (N,1,H,W) float, 0 at the camera, larger is farther.
            params (dict): From :meth:`sample`, for the same N.

        Returns:
            Tensor: (N,3,H,W) in [0, 1], same dtype and device.

        Raises:
            TypeError: If the image or depth is not a float tensor.
            ValueError: If a shape or a value is out of what is allowed, or depth is missing.
        """
        name = type(self).__name__
        image = check_image(image, name)
        if depth is not None:
            check_depth(depth, image, name)
        count = params_length(params)
        if count is not None and count != image.shape[0]:
            raise ValueError(f'{name}: params hold {count} samples but the image batch has {image.shape[0]}')
        if image.dtype in (torch.float16, torch.bfloat16):
            return self.run(image.float(), depth if depth is None else depth.float(), params).to(image.dtype)
        result = self.run(image, depth, params)
        # never the caller's own tensor: it may be the ground truth
        return result.clone() if result is image else result

    def transmission(self, image, depth, params):
        """Return how much of the scene's light gets through, t in ``I = J t + ...``, where that is known.

        Arguments as those of :meth:`apply`. Returns (N,1,H,W) or (N,3,H,W), NaN for samples of which it says nothing;
        None (the default) if it says nothing at all.
        """
        return None

    def run(self, image, depth, params, owned=False):
        """Like :meth:`apply`, for inputs already checked: finds the depth, degrades, clips.

        ``owned`` says that no one else needs ``image``; compositions may then overwrite it.
        """
        if self.needs_depth:
            if depth is None:
                depth = self._proxy(image, params)
            elif depth.dtype != image.dtype:
                depth = depth.to(image.dtype)
        result = self.degrade(image, depth, params)
        return result if result is image else result.clamp(0, 1)

    def _proxy(self, image, params):
        from .depth import ProxyDepth
        if 'proxy_seed' not in params or self.missing_depth == 'error':
            raise InputError(f"{type(self).__name__} needs a depth (N,1,H,W) and got None: give one, or build it with "
                             "missing_depth='proxy' to invent one for photos without depth")
        return ProxyDepth()(image, params['proxy_seed'])

    def __call__(self, image, depth=None, seeds=None):
        """Draw and apply: returns (image, params)."""
        if seeds is None:
            raise TypeError(f'{type(self).__name__}: give seeds=[...], one integer per image, so that the result can '
                            'be replayed')
        params = self.sample(seeds, *image.shape[-2:])
        return self.apply(image, depth, params), params


def check_image(image, name):
    """Return ``image`` clipped to [0, 1]; raise unless it is a finite float (N,3,H,W) tensor in [0, 1] to 1e-4."""
    if not torch.is_tensor(image) or not image.is_floating_point():
        kind = image.dtype if hasattr(image, 'dtype') else type(image).__name__
        raise InputTypeError(f'{name}: image must be a float tensor in [0, 1], got {kind}; convert uint8 with '
                             'image.float() / 255')
    if image.dim() != 4 or image.shape[1] != 3:
        raise InputError(f'{name}: image must have shape (N,3,H,W), got {tuple(image.shape)}')
    if image.numel() == 0:
        raise InputError(f'{name}: image is empty, shape {tuple(image.shape)}')
    low, high = torch.aminmax(image)
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
        raise InputError(f'{name}: image values must lie in [0, 1], got [{float(low):.4g}, {float(high):.4g}]; '
                         'NaN is not allowed either')
    return image.clamp(0, 1) if low < 0 or high > 1 else image


def check_depth(depth, image, name):
    """Raise unless ``depth`` is a finite, non-negative float (N,1,H,W) tensor of the size of ``image``."""
    if not torch.is_tensor(depth) or not depth.is_floating_point():
        kind = depth.dtype if hasattr(depth, 'dtype') else type(depth).__name__
        raise InputTypeError(f'{name}: depth must be a float tensor, got {kind}')
    expected = (image.shape[0], 1, *image.shape[-2:])
    if tuple(depth.shape) != expected:
        raise InputError(f'{name}: depth must have shape {expected} like the image, got {tuple(depth.shape)}')
    low, high = torch.aminmax(depth)
    if not (low >= 0 and torch.isfinite(high)):
        raise InputError(f'{name}: depth must be finite and >= 0 (0 at the camera, larger is farther), got '
                         f'[{float(low):.4g}, {float(high):.4g}]')

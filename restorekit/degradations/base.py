"""The base class of degradations: draws, checks, applies, replays and describes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from restorekit.messages import InputError, InputTypeError

from .depth import MAX_DEPTH, ProxyDepth
from .draw import Draw, check_choice
from .params import params_length

_TOLERANCE = 1e-4


class Degradation:
    """Base of every degradation: clear image (and depth) to degraded image.

    A subclass defines ``draw(draw, height, width) -> params`` with ``draw`` a :class:`Draw`, and
    ``degrade(image, depth, params) -> image``, pure tensor arithmetic that need not clip. ``params`` is a plain dict
    of CPU tensors whose first dimension is the batch (float32, int64 or bool), or of such dicts.

    Class attributes are facts that tools read: ``needs_depth``, whether ``degrade`` reads the depth (where it does,
    ``missing_depth`` says what happens without one); ``headline``, the drawn parameter that says best how strong the
    degradation is (captions show it); ``composite``, whether it is made of other degradations, its ``children``.

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

    needs_depth: bool = False
    headline: str | None = None
    composite: bool = False
    children: Sequence[Degradation] = ()

    def __init__(self, missing_depth='proxy'):
        self.missing_depth = check_choice('missing_depth', missing_depth, ('proxy', 'error'))

    def draw(self, draw, height, width):
        """Draw one set of parameters for each of ``len(draw)`` samples."""
        raise TypeError(f'{type(self).__name__} must define draw(draw, height, width)')

    def degrade(self, image, depth, params):
        """Compute the degraded image (N,3,H,W) from checked inputs; need not clip."""
        raise TypeError(f'{type(self).__name__} must define degrade(image, depth, params)')

    def operators(self):
        """Return the operators inside, in order: those of the children, or this one alone.

        Example:
            >>> from restorekit.degradations import build_degradation
            >>> maybe = build_degradation(dict(type='Maybe', child=dict(type='JPEG')))
            >>> [type(operator).__name__ for operator in maybe.operators()]
            ['JPEG']
        """
        return [operator for child in self.children for operator in child.operators()] if self.composite else [self]

    def describe(self, params, every=False):
        """Say in words what the parameters of one sample apply.

        Args:
            params (dict): Of one sample, as :func:`params_to_json` writes them.
            every (bool): Name every parameter but seeds and lists of more than three numbers, instead of the headline
                alone; a list is written out, not averaged.

        Returns:
            list[str]: A phrase for each operator applied.

        Example:
            >>> from restorekit.degradations import AtmosphericScattering
            >>> AtmosphericScattering().describe(dict(airlight=[0.8, 0.8, 0.8], beta=1.234))
            ['AtmosphericScattering beta 1.2']
        """
        shown, digits = ([self.headline] if self.headline in params else [], 2)
        if every:
            shown, digits = [name for name in params if not name.endswith('seed')], 3
        words = []
        for name in shown:
            numbers = params[name] if isinstance(params[name], list) else [params[name]]
            if every and len(numbers) > 3:
                continue
            numbers = numbers if every else [sum(numbers) / len(numbers)]
            words.append(f'{name} ' + ' '.join(f'{float(number):.{digits}g}' for number in numbers))
        words = ' '.join(words)
        return [f'{type(self).__name__}: {words}' if every and words else f'{type(self).__name__} {words}'.rstrip()]

    def sample(self, seeds, height, width):
        """Draw parameters, one set per seed.

        Args:
            seeds (sequence of int): One per sample.
            height, width (int): Size of the images.

        Returns:
            dict: Names to CPU tensors with first dimension ``len(seeds)``.
        """
        if isinstance(seeds, int):
            raise TypeError(f'seeds must be a sequence with one integer per sample, but got the integer {seeds}')
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
        return

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
        if 'proxy_seed' not in params or self.missing_depth == 'error':
            raise InputError(f"{type(self).__name__} needs a depth (N,1,H,W) and got None: give one, or build it with "
                             "missing_depth='proxy' to invent one for photos without depth")
        return ProxyDepth()(image, params['proxy_seed'])

    def __call__(self, image, depth=None, seeds=None):
        """Draw and apply.

        Args:
            image (Tensor): (N, 3, H, W) float RGB in [0, 1]; without seeds also (3, H, W).
            depth (Tensor, optional): (N, 1, H, W), or (1, H, W).
            seeds (sequence of int, optional): One per image, so that the result can be replayed.

        Returns:
            tuple[Tensor, dict] | Tensor | tuple[Tensor, Tensor]: With seeds, the image and the parameters drawn.
            Without, as ``torchvision.transforms.v2.Compose`` wants it, what was given with the image degraded (the
            image, or image and depth); seeds are then drawn from torch's generator, which ``DataLoader`` seeds in each
            worker.

        Example:
            >>> from torchvision.transforms import v2
            >>> from restorekit.degradations import AtmosphericScattering
            >>> transform = v2.Compose([v2.RandomCrop(32), AtmosphericScattering()])
            >>> transform(torch.rand(3, 48, 64)).shape
            torch.Size([3, 32, 32])
        """
        if seeds is not None:
            params = self.sample(seeds, *image.shape[-2:])
            return self.apply(image, depth, params), params
        if not torch.is_tensor(image) or image.dim() not in (3, 4):
            check_image(image, type(self).__name__)  # raises
        single = image.dim() == 3
        images = (image[None] if single else image).as_subclass(torch.Tensor)
        depths = None if depth is None else (depth[None] if single else depth).as_subclass(torch.Tensor)
        params = self.sample(torch.randint(2 ** 62, (len(images),)), *images.shape[-2:])
        result = self.apply(images, depths, params)
        result = result[0] if single else result
        return result if depth is None else (result, depth)


def check_image(image, name):
    """Return ``image`` clipped to [0, 1]; raise unless it is a finite float (N,3,H,W) tensor in [0, 1] to 1e-4."""
    if not torch.is_tensor(image) or not image.is_floating_point():
        kind = image.dtype if hasattr(image, 'dtype') else type(image).__name__
        raise InputTypeError(f'{name}: image must be a float tensor in [0, 1], but got {kind}; convert uint8 with '
                             'image.float() / 255')
    if image.dim() != 4 or image.shape[1] != 3:
        raise InputError(f'{name}: image must have shape (N,3,H,W), but got {tuple(image.shape)}')
    if image.numel() == 0:
        raise InputError(f'{name}: image is empty, shape {tuple(image.shape)}')
    low, high = torch.aminmax(image)
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):
        raise InputError(f'{name}: image values must lie in [0, 1], but got [{float(low):.4g}, {float(high):.4g}]; '
                         'NaN is not allowed either')
    return image.clamp(0, 1) if low < 0 or high > 1 else image


def check_depth(depth, image, name):
    """Raise unless ``depth`` is a float (N,1,H,W) tensor in [0, 1e20], of the size of ``image``."""
    if not torch.is_tensor(depth) or not depth.is_floating_point():
        kind = depth.dtype if hasattr(depth, 'dtype') else type(depth).__name__
        raise InputTypeError(f'{name}: depth must be a float tensor, but got {kind}')
    expected = (image.shape[0], 1, *image.shape[-2:])
    if tuple(depth.shape) != expected:
        raise InputError(f'{name}: depth must have shape {expected} like the image, but got {tuple(depth.shape)}')
    low, high = torch.aminmax(depth)
    if not (low >= 0 and high <= MAX_DEPTH):
        raise InputError(f'{name}: depth must be finite and in [0, {MAX_DEPTH:g}] (0 at the camera, larger is '
                         f'farther), but got [{float(low):.4g}, {float(high):.4g}]')

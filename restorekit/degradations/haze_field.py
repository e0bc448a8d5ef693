"""Real haze, measured on pairs and put on other photos."""

from __future__ import annotations

import os

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from restorekit.files.image_io import read_image
from restorekit.functional.filters import box_filter
from restorekit.messages import InputError
from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import check_range, per_sample

_SIZE = (48, 64)  # height and width of a field


def fit_haze_field(hazy: torch.Tensor, clear: torch.Tensor, radius: int = 8) -> torch.Tensor:
    """Fit ``I = t J + v`` to aligned pairs, in windows around each pixel, by least squares.

    One transmission t for the three colours, one veil v for each. Where a window of J has no contrast, t tends to that
    of the whole image.

    Args:
        hazy, clear (Tensor): I and J, (N, 3, H, W) in [0, 1].
        radius (int): Half the side of a window in pixels.

    Returns:
        Tensor: (N, 4, H, W): t in [0.02, 1] and v in [0, 1].

    Example:
        >>> clear = torch.rand(1, 3, 48, 64)
        >>> field = fit_haze_field(0.5 * clear + 0.4, clear)
        >>> bool((field[:, 0] - 0.5).abs().max() < 0.01), bool((field[:, 1:] - 0.4).abs().max() < 0.01)
        (True, True)
    """
    def moments(mean):
        i, j = mean(hazy), mean(clear)
        covariance = (mean(hazy * clear) - i * j).sum(dim=1, keepdim=True)
        return i, j, covariance, (mean(clear * clear) - j * j).sum(dim=1, keepdim=True)
    _, _, covariance, variance = moments(lambda x: x.mean(dim=(2, 3), keepdim=True))
    overall = (covariance / variance.clamp(min=1e-6)).clamp(0.02, 1)
    i, j, covariance, variance = moments(lambda x: box_filter(x, radius))
    t = ((covariance + 5e-4 * overall) / (variance + 5e-4)).clamp(0.02, 1)
    t = box_filter(t, radius // 2)
    return torch.cat([t, box_filter((i - t * j).clamp(0, 1), radius // 2)], dim=1)


@DEGRADATIONS.register_module()
class HazeField(Degradation):
    """Haze as it was on a real photo: ``I = J t^g + v (1 - t^g) / (1 - t)``.

    The transmission t and the veil v are fitted (:func:`fit_haze_field`) to pairs of a hazy and a clear photo of one
    scene, when the first field is needed. They keep what no formula gives: how uneven real haze is, and its colours.
    That t does not belong to the new photo's depth is the price.

    Args:
        hazy_dir (str): Folder of hazy photos.
        clear_dir (str): Folder of the clear photos, with the same stems.
        density (float or pair): g, in (0, 10]; 1 is the haze as it was.
        include (str, optional): Takes only names that start with this.
        exclude (list of str): Stems that are not used (those that one validates on).

    Raises:
        InputError: If a hazy photo has no clear photo, the folder holds none, or a range is out of bounds.

    Parameters drawn: ``field`` (N,) int64, an index into the sorted names; ``flip`` (N,) bool; ``density`` (N,).

    Example:
        >>> HazeField('o-haze/hazy', 'o-haze/clear', density=(0.6, 1.4))  # doctest: +SKIP
    """

    headline = 'density'

    def __init__(self, hazy_dir, clear_dir, density=(0.6, 1.4), include=None, exclude=()):
        super().__init__()
        self.density = check_range('density', density, 1e-3, 10)
        clear = {os.path.splitext(name)[0]: name for name in os.listdir(clear_dir)}
        self.pairs = []
        for name in sorted(os.listdir(hazy_dir)):
            stem = os.path.splitext(name)[0]
            if stem in exclude or (include and not name.startswith(include)):
                continue
            if stem not in clear:
                raise InputError(f'HazeField: {os.path.join(hazy_dir, name)} has no clear photo named {stem} in '
                                 f'{clear_dir}')
            self.pairs.append((os.path.join(hazy_dir, name), os.path.join(clear_dir, clear[stem])))
        if not self.pairs:
            raise InputError(f'HazeField: no pair of photos in {hazy_dir} and {clear_dir} is left to take fields from')
        self._fields = None

    @property
    def fields(self) -> torch.Tensor:
        """The fields, (number of pairs, 4, 48, 64)."""
        if self._fields is None:
            pairs = [[_small(path) for path in pair] for pair in self.pairs]
            hazy, clear = (torch.stack(images) for images in zip(*pairs, strict=True))
            self._fields = F.interpolate(fit_haze_field(hazy, clear), _SIZE, mode='area')
        return self._fields

    def draw(self, draw, height, width):
        return {'field': draw.integers('field', 0, len(self.pairs) - 1), 'flip': draw.uniform('flip') < 0.5,
                'density': draw.uniform('density', *self.density)}

    def degrade(self, image, depth, params):
        t, veil = self._t_and_veil(image, params)
        return image * t + veil

    def transmission(self, image, depth, params):
        """Return t, (N, 1, H, W)."""
        return self._t_and_veil(image, params)[0]

    def _t_and_veil(self, image, params):
        field = self.fields[params['field']]
        field = torch.where(params['flip'][:, None, None, None], field.flip(3), field).to(image)
        # one at a time: bilinear enlargement may round differently in a batch of another size
        field = torch.cat([F.interpolate(f[None], image.shape[-2:], mode='bilinear') for f in field])
        t = torch.exp(torch.log(field[:, :1].clamp(min=1e-3)) * per_sample(params['density'], image))
        return t, field[:, 1:] * ((1 - t) / (1 - field[:, :1]).clamp(min=0.02)).clamp(max=2)


def _small(path):
    image = cv2.resize(read_image(path), (2 * _SIZE[1], 2 * _SIZE[0]), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float() / 255

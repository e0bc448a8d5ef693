"""CID's scattering model: haze, illumination and noise in one formula."""

import math

import torch

from restorekit.functional.colour import hue_to_rgb
from restorekit.messages import refuse_unused
from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import MAX_EXTINCTION, MAX_HUE, check_choice, check_range, normal_field, per_sample

_FLOOR = 1e-3


def cid_scatter(image, depth, illumination, exponent, beta, kappa=1., mode='safe'):
    """Apply CID's scattering model without its noise term.

    With ``t = exp(-beta d)``, ``t_min = max(min t, 1e-3)`` over each image and ``ln t / ln t_min`` = d / d_max:

    - ``faithful``: ``I = A^g (R t g ln t / ln t_min + 1 - t g)``, t limited to [t_min, 1). As published (CID, 2025):
      near points go black and a large g makes the veil negative.
    - ``safe``: ``I = A^g (R tau ell + 1 - tau)``, ``tau = clip(t g, t_min, 1)``,
      ``ell = (1 - kappa) + kappa ln t / ln t_min``. ``kappa`` 0 is CGID's form, 1 keeps the full logarithmic factor;
      with A = g = 1 and kappa = 0 it is the atmospheric scattering model. Where the depth is 0 throughout, ell = 1.

    Scattering with a coloured airlight is *not* a special case: here A multiplies the scene too.

    Args:
        image (Tensor): R, (N,3,H,W) in [0, 1].
        depth (Tensor): d >= 0, (N,1,H,W).
        illumination (Tensor): A, (N,3) or (N,), > 0.
        exponent (Tensor): g, (N,), > 0.
        beta (Tensor): Extinction per unit of depth, (N,).
        kappa (float or Tensor): (N,) in [0, 1]; only read by ``safe``.
        mode (str): ``'safe'`` or ``'faithful'``.

    Returns:
        Tensor: (N,3,H,W), not clipped.

    Example:
        >>> one = torch.ones(1)
        >>> cid_scatter(torch.ones(1, 3, 2, 2), torch.rand(1, 1, 2, 2), one * 0.5, one, one, kappa=0.).mean().item()
        0.5
    """
    optical = per_sample(beta, image) * depth
    thickest = optical.amax(dim=(1, 2, 3), keepdim=True).clamp(max=-math.log(_FLOOR))
    transmission = torch.exp(-optical).clamp(min=_FLOOR)
    ratio = torch.where(thickest > 0, optical / thickest.clamp(min=1e-12), 1).clamp(max=1)
    g = per_sample(exponent, image)
    power = exponent.double().reshape(-1, *(1,) * (illumination.dim() - 1))
    light = per_sample(torch.exp(torch.log(illumination.double()) * power), image)
    if mode == 'faithful':
        weight = transmission * g
        return (image * (weight * ratio)).add_(1 - weight).mul_(light)
    kappa = per_sample(torch.as_tensor(kappa).reshape(-1), image)
    weight = torch.maximum((transmission * g).clamp(max=1), torch.exp(-thickest))
    return (image * (weight * (1 - kappa + kappa * ratio))).add_(1 - weight).mul_(light)


@DEGRADATIONS.register_module()
class CIDScattering(Degradation):
    """Haze, low or coloured light and noise at once, after CID (2025): see :func:`cid_scatter`, plus noise M.

    Args:
        beta (float or pair): Extinction per unit of depth, 0 to 10,000.
        brightness (float or pair): Largest channel of A, in (0, 1].
        saturation (float or pair): Colour of A, 0 grey to 1 pure.
        hue (float or pair): Hue of A in turns, 0 red, 1/3 green, 2/3 blue; -10 to 10.
        exponent (float or pair): g, in (0, 10]. Below 1 it thickens the haze and brightens A, above 1 it thins and
            darkens.
        kappa (float or pair): Share of the logarithmic factor in ``safe`` mode, in [0, 1]; ``faithful``
            takes none.
        noise (float or pair): Standard deviation of M, in 1/255; 0 to 255.
        depth_offset (float or pair): Added to the depth, 0 to 1,000: it keeps the foreground from going black, which
            the logarithmic factor brings with it.
        mode (str): ``'safe'`` or ``'faithful'``.
        missing_depth (str): ``'proxy'`` or ``'error'``.

    Raises:
        ValueError: If a range is reversed or out of bounds, or the mode unknown.

    Parameters drawn: ``illumination`` (N,3); ``exponent``, ``beta``, ``kappa``, ``noise``, ``depth_offset``,
    ``noise_seed`` (N,).

    Example:
        >>> hazy, params = CIDScattering(kappa=(0., 0.5))(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    needs_depth = True
    headline = 'beta'

    def __init__(self, beta=(0.6, 1.8), brightness=(0.5, 1.), saturation=(0., 0.3), hue=(0., 1.), exponent=(0.7, 1.),
                 kappa=(0., 0.5), noise=(0., 5.), depth_offset=(0.1, 0.4), mode='safe', missing_depth='proxy'):
        super().__init__(missing_depth)
        self.beta = check_range('beta', beta, 0, MAX_EXTINCTION)
        self.brightness = check_range('brightness', brightness, 1e-3, 1)
        self.saturation = check_range('saturation', saturation, 0, 0.999)
        self.hue = check_range('hue', hue, -MAX_HUE, MAX_HUE)
        self.exponent = check_range('exponent', exponent, 1e-3, 10)
        self.kappa = check_range('kappa', kappa, 0, 1)
        self.noise = check_range('noise', noise, 0, 255)
        self.depth_offset = check_range('depth_offset', depth_offset, 0, 1e3)
        self.mode = check_choice('mode', mode, ('safe', 'faithful'))
        if mode == 'faithful':
            refuse_unused(self, dict(kappa=kappa), "mode='safe'", "mode='faithful'")

    def draw(self, draw, height, width):
        saturation = draw.uniform('saturation', *self.saturation)[:, None]
        colour = 1 - saturation + saturation * hue_to_rgb(draw.uniform('hue', *self.hue))
        return {'illumination': draw.uniform('brightness', *self.brightness)[:, None] * colour,
                'noise_seed': draw.seed('noise'),
                **{name: draw.uniform(name, *getattr(self, name))
                   for name in ('exponent', 'beta', 'kappa', 'noise', 'depth_offset')}}

    def degrade(self, image, depth, params):
        depth = depth + per_sample(params['depth_offset'], image)
        hazy = cid_scatter(image, depth, params['illumination'], params['exponent'], params['beta'], params['kappa'],
                           self.mode)
        if bool((params['noise'] > 0).any()):
            noise = normal_field(params['noise_seed'], *image.shape[1:]).to(image)
            hazy = hazy + noise * (per_sample(params['noise'], image) / 255)
        return hazy

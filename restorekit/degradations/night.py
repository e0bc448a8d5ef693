"""Haze at night: little ambient light, coloured lamps and their glow."""

import torch
import torch.nn.functional as F

from restorekit.functional.colour import hue_to_rgb
from restorekit.functional.filters import wide_blur
from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import MAX_EXTINCTION, check_range, per_sample

# the atmospheric point spread function as a sum of Gaussians: sigma as a fraction of the longer side, weight
APSF = ((0.015, 0.6), (0.05, 0.3), (0.15, 0.1))


@DEGRADATIONS.register_module()
class NightHaze(Degradation):
    """Night haze, ``I = L (J' t + c (1 - t)) + glow``, ``t = exp(-beta d)`` (Li et al. 2015; Zhang et al., 3R, 2020).

    - ``J' = J^1.5`` is the scene under even light, ``c`` the veil's brightness under the same light;
    - ``L = ambient + sum_k w_k c_k / (1 + (r_k / r_0k)^2)``: a dim ambient light and up to ``max_lamps`` coloured
      lamps at random places of the upper half;
    - ``glow``: the light of the lamps themselves and of the scene's brightest spots spread by an atmospheric point
      spread function, a sum of three Gaussians (after Narasimhan and Nayar 2003), strength ``glow``.

    Smooth terms are computed at 96 points on the longer side and enlarged.

    Args:
        beta (float or pair): Extinction per unit of depth, 0 to 10,000.
        ambient (float or pair): Brightness of the ambient light, in [0, 1].
        ambient_saturation (float or pair): Its colour, blue to violet; 0 is grey.
        lamps (int or pair): Number of lamps, 0 to 6.
        lamp_brightness (float or pair): w, 0 to 100.
        lamp_saturation (float or pair): Colour of the lamps, 0 white to 1 pure, mostly orange.
        lamp_radius (float or pair): r_0, fraction of the longer side, 0.001 to 10.
        glow (float or pair): 0 to 100.
        missing_depth (str): ``'proxy'`` or ``'error'``.

    Raises:
        ValueError: If a range is reversed or out of bounds.

    Parameters drawn: ``ambient``, (N,3); ``lamp_position`` (N,12) as x, y of six lamps; ``lamp_colour`` (N,18),
    zero where there is no lamp; ``lamp_radius``, ``lamp_core`` (N,6); ``beta``, ``veil``, ``glow`` (N,).

    Example:
        >>> night, params = NightHaze()(torch.rand(1, 3, 32, 32), seeds=[0])
    """

    needs_depth = True
    headline = 'beta'
    max_lamps = 6

    def __init__(self, beta=(0.4, 1.5), ambient=(0.15, 0.4), ambient_saturation=(0., 0.4), lamps=(1, 5),
                 lamp_brightness=(0.4, 1.), lamp_saturation=(0.2, 0.75), lamp_radius=(0.08, 0.25), glow=(0.3, 0.9),
                 missing_depth='proxy'):
        super().__init__(missing_depth)
        self.beta = check_range('beta', beta, 0, MAX_EXTINCTION)
        self.ambient = check_range('ambient', ambient, 0, 1)
        self.ambient_saturation = check_range('ambient_saturation', ambient_saturation, 0, 1)
        self.lamps = tuple(int(end) for end in check_range('lamps', lamps, 0, self.max_lamps))
        self.lamp_brightness = check_range('lamp_brightness', lamp_brightness, 0, 100)
        self.lamp_saturation = check_range('lamp_saturation', lamp_saturation, 0, 1)
        self.lamp_radius = check_range('lamp_radius', lamp_radius, 1e-3, 10)
        self.glow = check_range('glow', glow, 0, 100)

    def draw(self, draw, height, width):
        count, lamps = len(draw), self.max_lamps
        saturation = draw.uniform('ambient_saturation', *self.ambient_saturation)[:, None]
        ambient = 1 - saturation + saturation * hue_to_rgb(draw.uniform('ambient_hue', 0.52, 0.75))
        # sodium, warm white and, now and then, cold white or green
        warm = draw.uniform('lamp_hue', 0.04, 0.12, lamps)
        cold = draw.uniform('other_hue', 0.2, 0.65, lamps)
        hue = torch.where(draw.uniform('lamp_kind', size=lamps) < 0.8, warm, cold)
        saturation = draw.uniform('lamp_saturation', *self.lamp_saturation, size=lamps)[..., None]
        colour = 1 - saturation + saturation * hue_to_rgb(hue.reshape(-1)).reshape(count, lamps, 3)
        on = torch.arange(lamps) < draw.integers('lamps', *self.lamps)[:, None]
        brightness = draw.uniform('lamp_brightness', *self.lamp_brightness, size=lamps) * on
        position = torch.stack([draw.uniform('x', 0.02, 0.98, lamps), draw.uniform('y', 0.05, 0.55, lamps)], dim=2)
        return {'ambient': ambient * draw.uniform('ambient', *self.ambient)[:, None],
                'lamp_position': position.reshape(count, -1),
                'lamp_colour': (colour * brightness[..., None]).reshape(count, -1),
                'lamp_radius': draw.uniform('lamp_radius', *self.lamp_radius, size=lamps),
                'lamp_core': draw.uniform('lamp_core', 0.004, 0.012, size=lamps),
                'beta': draw.uniform('beta', *self.beta), 'veil': draw.uniform('veil', 0.35, 0.7),
                'glow': draw.uniform('glow', *self.glow)}

    def degrade(self, image, depth, params):
        transmission = torch.exp(-(per_sample(params['beta'], image) * depth))
        size = image.shape[-2:]
        scale = min(1., 96 / max(size))
        small = tuple(max(1, round(side * scale)) for side in size)
        light, glow = self._lamps(image, params, small)
        veil = per_sample(params['veil'], image) * (1 - transmission)
        lit = (image * torch.sqrt(image)).mul_(transmission).add_(veil)
        lit.mul_(F.interpolate(light, size, mode='bilinear', align_corners=False))
        bright = (image.amax(dim=1, keepdim=True) - 0.8).clamp_(min=0) * 5
        bright = F.interpolate(bright, small, mode='area') * F.interpolate(lit, small, mode='area')
        for sigma, weight in APSF:
            glow = glow + wide_blur(bright, sigma * max(small)) * weight
        glow = glow * per_sample(params['glow'], image)
        return lit.add_(F.interpolate(glow, size, mode='bilinear', align_corners=False))

    def _lamps(self, image, params, size):
        """Return the light on the scene and the glow of the lamps themselves, both (N,3,*size)."""
        count, _, height, width = image.shape
        longer = max(height, width)
        y = ((torch.arange(size[0], device=image.device) + 0.5) / size[0])[None, :, None] * (height / longer)
        x = ((torch.arange(size[1], device=image.device) + 0.5) / size[1])[None, None, :] * (width / longer)
        position = params['lamp_position'].reshape(count, -1, 2).to(image)
        colour = params['lamp_colour'].reshape(count, -1, 3).to(image)
        radius, core = params['lamp_radius'].to(image), params['lamp_core'].to(image)
        light = per_sample(params['ambient'], image).expand(-1, -1, *size)
        glow = torch.zeros_like(light)
        for k in range(self.max_lamps):
            if not bool((params['lamp_colour'][:, 3 * k:3 * k + 3] > 0).any()):
                continue
            dx = x - position[:, k, 0, None, None] * (width / longer)
            dy = y - position[:, k, 1, None, None] * (height / longer)
            square = (dx * dx + dy * dy)[:, None]
            tint = colour[:, k, :, None, None]
            light = light + tint / (1 + square / per_sample(radius[:, k] ** 2, image))
            lamp = torch.exp(-square / per_sample(2 * core[:, k] ** 2, image)) * 1.2
            for sigma, weight in APSF:
                lamp = lamp + weight * torch.exp(-square / (2 * sigma ** 2))
            glow = glow + tint * lamp
        return light.to(image).clamp(max=1.2), glow.to(image)


@DEGRADATIONS.register_module()
class NightGlow(Degradation):
    """Glow of the lamps that a night photo shows, which stays a night photo: ``I = J + glow (h * L) + veil``.

    L is what is bright in J, ``max(J - threshold, 0) / (1 - threshold)``, spread by an atmospheric point spread
    function h, a sum of three Gaussians (after Narasimhan and Nayar, CVPR 2003); the veil has L's mean colour.
    :class:`NightHaze` makes night out of day; this one keeps the scene as it is, so that a network trained on it
    shrinks the glow and leaves dark what is dark.

    Args:
        glow (float or pair): Strength, 0 to 100.
        threshold (float or pair): Brightness above which a pixel counts as light, in [0, 0.95].
        spread (float or pair): Factor of the widths of h, 0.01 to 10.
        veil (float or pair): Brightness of the veil relative to the mean of L, 0 to 100.

    Raises:
        ValueError: If a range is reversed or out of bounds.

    Parameters drawn: ``glow``, ``threshold``, ``spread``, ``veil`` (N,).

    Example:
        >>> glowing, params = NightGlow()(torch.rand(1, 3, 32, 32), seeds=[0])
    """

    headline = 'glow'

    def __init__(self, glow=(0.5, 2.5), threshold=(0.2, 0.6), spread=(0.7, 1.6), veil=(0., 0.5)):
        super().__init__()
        self.glow = check_range('glow', glow, 0, 100)
        self.threshold = check_range('threshold', threshold, 0, 0.95)
        self.spread = check_range('spread', spread, 1e-2, 10)
        self.veil = check_range('veil', veil, 0, 100)

    def draw(self, draw, height, width):
        return {name: draw.uniform(name, *getattr(self, name)) for name in ('glow', 'threshold', 'spread', 'veil')}

    def degrade(self, image, depth, params):
        threshold = per_sample(params['threshold'], image)
        light = (image - threshold).clamp(min=0) / (1 - threshold)
        longest = max(image.shape[-2:])
        spread = []
        for one, factor in zip(light, params['spread'].tolist(), strict=True):
            spread.append(sum(weight * wide_blur(one[None], sigma * factor * longest) for sigma, weight in APSF))
        veil = light.mean(dim=(2, 3), keepdim=True) * per_sample(params['veil'], image)
        return image + per_sample(params['glow'], image) * torch.cat(spread) + veil

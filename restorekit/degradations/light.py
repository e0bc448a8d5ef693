"""Too little light, and light of the wrong colour."""

import torch

from restorekit.functional.colour import hue_to_rgb, safe_power
from restorekit.functional.filters import guided_filter
from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import MAX_HUE, check_choice, check_range, per_sample


@DEGRADATIONS.register_module()
class LowLight(Degradation):
    """Underexposure.

    - ``gamma``: ``I = gain J^gamma`` (Lv et al., MBLLEN, 2018; RIDCP, 2023, with gain 1).
    - ``retinex``: ``I = gain J L^(gamma - 1)``, L the largest channel smoothed by a guided filter: dark regions lose
      more light, but local contrast and colour stay (Guo et al., CDD-11, 2024).

    Args:
        gamma (float or pair): 1 to 100; 1 changes nothing.
        gain (float or pair): In (0, 1].
        mode (str): ``'gamma'`` or ``'retinex'``.

    Raises:
        ValueError: If a range is reversed or out of bounds, or the mode unknown.

    Parameters drawn: ``gamma``, ``gain`` (N,).

    Example:
        >>> dark, params = LowLight(gamma=(1.5, 3.))(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    headline = 'gamma'

    def __init__(self, gamma=(1.5, 3.), gain=1., mode='gamma'):
        super().__init__()
        self.gamma = check_range('gamma', gamma, 1, 100)
        self.gain = check_range('gain', gain, 1e-3, 1)
        self.mode = check_choice('mode', mode, ('gamma', 'retinex'))

    def draw(self, draw, height, width):
        return {'gamma': draw.uniform('gamma', *self.gamma), 'gain': draw.uniform('gain', *self.gain)}

    def degrade(self, image, depth, params):
        gamma, gain = per_sample(params['gamma'], image), per_sample(params['gain'], image)
        if self.mode == 'gamma':
            return safe_power(image, gamma) * gain
        light = image.amax(dim=1, keepdim=True)
        shorter = min(image.shape[-2:])
        light = guided_filter(light, light, max(1, round(shorter / 32)), 1e-2, max(1, round(shorter / 64)))
        factor = torch.exp(torch.log(light.clamp(1e-3, 1)) * (gamma - 1))
        return image * (factor * gain)


@DEGRADATIONS.register_module()
class ColourCast(Degradation):
    """Light of one colour: ``I_c = J_c w_c``, ``w = ((1 - strength) + strength hue)`` (von Kries 1902).

    The largest gain is 1, so that nothing clips; the scene gets darker in the other channels.

    Args:
        strength (float or pair): 0 none to 1 pure colour.
        hue (float or pair): In turns, 0 red, 1/3 green, 2/3 blue; -10 to 10.

    Raises:
        ValueError: If a range is reversed or out of bounds.

    Parameters drawn: ``gain`` (N,3).

    Example:
        >>> tinted, params = ColourCast(strength=0.3, hue=0.1)(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    headline = 'gain'

    def __init__(self, strength=(0.05, 0.35), hue=(0., 1.)):
        super().__init__()
        self.strength = check_range('strength', strength, 0, 1)
        self.hue = check_range('hue', hue, -MAX_HUE, MAX_HUE)

    def draw(self, draw, height, width):
        strength = draw.uniform('strength', *self.strength)[:, None]
        return {'gain': 1 - strength + strength * hue_to_rgb(draw.uniform('hue', *self.hue))}

    def degrade(self, image, depth, params):
        return image * per_sample(params['gain'], image)


@DEGRADATIONS.register_module()
class ColourGain(Degradation):
    """A tint by one constant gain per colour that may clip: ``I_c = scale g_c J_c``, ``g = (red, 1, blue)``.

    Strong tints of this kind stand in for the light under dust (orange: red above 1, blue below) and for cameras with
    a wrong white balance. :class:`ColourCast` is the gentle one that never clips.

    Args:
        red (float or pair): Gain of red, 0.001 to 100.
        blue (float or pair): Gain of blue, 0.001 to 100.
        scale (float or pair): Gain of all colours, 0.001 to 100.

    Raises:
        ValueError: If a range is reversed or out of bounds.

    Parameters drawn: ``gain`` (N,3).

    Example:
        >>> orange, params = ColourGain(red=(1.5, 1.9), blue=(0.1, 0.5))(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    headline = 'gain'

    def __init__(self, red=(1.2, 1.9), blue=(0.1, 0.8), scale=1.):
        super().__init__()
        self.red, self.blue, self.scale = (check_range(name, value, 1e-3, 100) for name, value in
                                           (('red', red), ('blue', blue), ('scale', scale)))

    def draw(self, draw, height, width):
        red, blue = draw.uniform('red', *self.red), draw.uniform('blue', *self.blue)
        scale = draw.uniform('scale', *self.scale)[:, None]
        return {'gain': torch.stack([red, torch.ones_like(red), blue], dim=1) * scale}

    def degrade(self, image, depth, params):
        return image * per_sample(params['gain'], image)

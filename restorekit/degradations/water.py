"""Images taken under water."""

import torch

from restorekit.messages import InputError
from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import check_choice, check_range, per_sample
from .haze import scatter

# transmission of R, G, B per metre (Jerlov 1976; as used by Li et al., UWCNN, 2020)
JERLOV = {'I': (.805, .961, .982), 'II': (.80, .925, .94), 'III': (.75, .885, .89), '1C': (.75, .885, .875),
          '3C': (.71, .82, .80), '5C': (.67, .73, .67), '7C': (.62, .61, .50), '9C': (.55, .46, .29)}


@DEGRADATIONS.register_module()
class Underwater(Degradation):
    """Underwater image formation, ``I_c = J_c exp(-b_c d) + B_c (1 - exp(-b_c d))``, ``b = -ln N`` (Jerlov 1976).

    N is the transmission per metre of the water type, d the distance in metres, ``B_c = brightness N_c^z``
    scaled to its largest channel, the colour of daylight z metres below the surface. Direct and backscattered light
    share one coefficient (Akkaynak and Treibitz 2018 tell them apart; published sets do not).

    Args:
        types (str or sequence of str): Jerlov water types to draw from: ``I, II, III`` ocean, ``1C`` to ``9C``
            coast. The most turbid, 7C and 9C, are not drawn by default: a few metres hide everything.
        distance (float or pair): Metres that depth 1 stands for, 0 to 10,000.
        water_depth (float or pair): z, metres, 0 to 1,000: deeper there is no daylight.
        brightness (float or pair): Of the veiling light, in [0, 1].
        missing_depth (str): ``'proxy'`` or ``'error'``.

    Raises:
        ValueError: If a type is unknown, or a range reversed or out of bounds.

    Parameters drawn: ``attenuation``, ``veil`` (N,3), ``distance`` (N,).

    Example:
        >>> murky, params = Underwater(types=['II', '3C'])(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    needs_depth = True
    headline = 'distance'

    def __init__(self, types=('I', 'II', 'III', '1C', '3C', '5C'), distance=(0.5, 8.), water_depth=(4., 12.),
                 brightness=(0.4, 0.9), missing_depth='proxy'):
        super().__init__(missing_depth)
        types = [types] if isinstance(types, str) else list(types)
        if not types:
            raise InputError(f'types must name at least one of {", ".join(JERLOV)}')
        self.types = [check_choice('types', name, tuple(JERLOV)) for name in types]
        self.distance = check_range('distance', distance, 0, 1e4)
        self.water_depth = check_range('water_depth', water_depth, 0, 1e3)
        self.brightness = check_range('brightness', brightness, 0, 1)

    def draw(self, draw, height, width):
        table = -torch.log(torch.tensor([JERLOV[name] for name in self.types], dtype=torch.float64))
        attenuation = table[draw.integers('type', 0, len(self.types) - 1)]
        daylight = torch.exp(-attenuation * draw.uniform('water_depth', *self.water_depth).double()[:, None])
        daylight = daylight / daylight.amax(dim=1, keepdim=True)
        brightness = draw.uniform('brightness', *self.brightness)[:, None]
        return {'attenuation': attenuation.float(), 'veil': daylight.float() * brightness,
                'distance': draw.uniform('distance', *self.distance)}

    def degrade(self, image, depth, params):
        return scatter(image, depth * per_sample(params['distance'], image), params['veil'], params['attenuation'])

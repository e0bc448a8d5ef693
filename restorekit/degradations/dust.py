"""Sand and dust in the air."""

import torch

from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import MAX_EXTINCTION, check_range, fractal_noise, per_sample
from .haze import scatter, wavelength_ratio


@DEGRADATIONS.register_module()
class Dust(Degradation):
    """Sand dust: scattering with a yellow to red airlight and an extinction that is strongest for blue.

    ``I = J t_c + A_c (1 - t_c)``, ``t_c = exp(-beta_c (d + d_0))``, ``beta_c = beta (lambda_c / 0.62 um)^-exponent``
    (Angstrom 1929), ``A = (r, r g, r g^k)``: a colour law fitted to photos of sandstorms.

    Args:
        beta (float or pair): Extinction of red per unit of depth, 0 to 10,000.
        red (float or pair): r, in (0, 1].
        green (float or pair): g, ratio of green to red, in (0, 1].
        blue_power (float or pair): k, 1 to 100; blue to red is g^k.
        wavelength_exponent (float or pair): 0 to 0.5 for coarse dust; 0 to 10.
        depth_offset (float or pair): d_0, 0 to 1,000: dust between the lens and the nearest point.
        contrast (float or pair): Patchiness of the cloud in [0, 1], as in :class:`NonHomogeneousHaze`.
        missing_depth (str): ``'proxy'`` or ``'error'``.

    Raises:
        ValueError: If a range is reversed or out of bounds.

    Parameters drawn: ``airlight`` and ``beta`` (N,3); ``depth_offset``, ``contrast``, ``field_seed`` (N,).

    Example:
        >>> dusty, params = Dust(beta=(0.5, 2.))(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    needs_depth = True
    headline = 'beta'

    def __init__(self, beta=(0.5, 2.2), red=(0.6, 0.98), green=(0.55, 0.95), blue_power=(2.5, 4.5),
                 wavelength_exponent=(0., 0.5), depth_offset=(0.05, 0.35), contrast=(0., 0.3), missing_depth='proxy'):
        super().__init__(missing_depth)
        self.beta = check_range('beta', beta, 0, MAX_EXTINCTION)
        self.red = check_range('red', red, 0, 1)
        self.green = check_range('green', green, 1e-3, 1)
        self.blue_power = check_range('blue_power', blue_power, 1, 100)
        self.wavelength_exponent = check_range('wavelength_exponent', wavelength_exponent, 0, 10)
        self.depth_offset = check_range('depth_offset', depth_offset, 0, 1e3)
        self.contrast = check_range('contrast', contrast, 0, 1)

    def draw(self, draw, height, width):
        red, green = draw.uniform('red', *self.red), draw.uniform('green', *self.green)
        blue = torch.exp(torch.log(green.double()) * draw.uniform('blue_power', *self.blue_power).double()).float()
        beta = draw.uniform('beta', *self.beta)[:, None]
        exponent = draw.uniform('wavelength_exponent', *self.wavelength_exponent)
        return {'airlight': torch.stack([red, red * green, red * blue], dim=1),
                'beta': beta * wavelength_ratio(exponent),
                'depth_offset': draw.uniform('depth_offset', *self.depth_offset),
                'contrast': draw.uniform('contrast', *self.contrast), 'field_seed': draw.seed('field')}

    def degrade(self, image, depth, params):
        depth = depth + per_sample(params['depth_offset'], image)
        if bool((params['contrast'] > 0).any()):
            contrast = per_sample(params['contrast'], image)
            field = fractal_noise(params['field_seed'], *image.shape[-2:], period=0.5, octaves=3).to(image)
            depth = depth * (1 - contrast + 2 * contrast * field)
        return scatter(image, depth, params['airlight'], params['beta'])

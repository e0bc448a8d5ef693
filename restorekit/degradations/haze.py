"""Haze by day: the atmospheric scattering model, homogeneous and not."""

import torch

from restorekit.functional.colour import hue_to_rgb
from restorekit.messages import refuse_unused
from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import MAX_EXTINCTION, MAX_HUE, check_range, fractal_noise, per_sample

# dominant wavelengths of R, G, B relative to red, 0.62 um
WAVELENGTHS = torch.tensor([1., 0.54 / 0.62, 0.46 / 0.62], dtype=torch.float64)


def scatter(image, depth, airlight, beta):
    """Apply the atmospheric scattering model ``I = J t + A (1 - t)``, ``t = exp(-beta d)`` (Koschmieder 1924).

    Args:
        image (Tensor): J, (N,3,H,W) in [0, 1].
        depth (Tensor): d >= 0, (N,1,H,W).
        airlight (Tensor): A, (N,3) or anything that broadcasts to the image.
        beta (Tensor): Extinction per unit of depth: (N,), (N,3) per channel, or (N,1,H,W) varying over the image.

    Returns:
        Tensor: (N,3,H,W).

    Example:
        >>> scatter(torch.zeros(1, 3, 1, 1), torch.ones(1, 1, 1, 1), torch.ones(1, 3), torch.zeros(1)).sum().item()
        0.0
    """
    transmission = torch.exp(per_sample(beta, image).neg() * depth)
    return (image * transmission).add_(per_sample(airlight, image) * (1 - transmission))


def wavelength_ratio(exponent):
    """Return ``(lambda_c / lambda_red) ** -exponent`` for R, G, B (Angstrom 1929): (N,) to (N,3) float32."""
    return torch.exp(-exponent.double()[:, None] * torch.log(WAVELENGTHS)).float()


@DEGRADATIONS.register_module()
class AtmosphericScattering(Degradation):
    """Haze by the atmospheric scattering model, ``I = J t + A (1 - t)``, ``t = exp(-beta_c d)`` (Koschmieder 1924).

    ``A = brightness ((1 - saturation) + saturation hue)`` plus an independent jitter per channel;
    ``beta_c = beta (lambda_c / 0.62 um)^-exponent`` (Angstrom 1929): 0 for fog, 1 to 1.5 for fine, bluish haze.

    Args:
        beta (float or pair): Extinction per unit of depth, 0 to 10,000. ITS of RESIDE (Li et al. 2019): 0.6 to 1.8.
        airlight (float or pair): Brightness of A, in [0, 1].
        airlight_jitter (float): Half-width of the uniform jitter per channel. RIDCP (Wu et al. 2023): 0.025.
        airlight_saturation (float or pair): Colour of A, 0 grey (the default) to 1 pure.
        airlight_hue (float or pair): Hue in turns, 0 red, 1/3 green, 2/3 blue; -10 to 10. Only with
            ``airlight_saturation``.
        wavelength_exponent (float or pair): Exponent of the extinction, -10 to 10; 4 is Rayleigh scattering.
        missing_depth (str): ``'proxy'`` or ``'error'``.

    Raises:
        ValueError: If a range is reversed or out of bounds, or the hue is given without a saturation.

    Parameters drawn: ``airlight`` (N,3), ``beta`` (N,) or, with an exponent, (N,3).

    Example:
        >>> clear, depth = torch.rand(2, 3, 16, 16), torch.rand(2, 1, 16, 16)
        >>> hazy, params = AtmosphericScattering(beta=1.2, airlight=(0.7, 1.))(clear, depth, seeds=[0, 1])
    """

    needs_depth = True
    headline = 'beta'

    def __init__(self, beta=(0.6, 1.8), airlight=(0.7, 1.), airlight_jitter=0., airlight_saturation=None,
                 airlight_hue=(0., 1.), wavelength_exponent=0., missing_depth='proxy'):
        super().__init__(missing_depth)
        self.beta = check_range('beta', beta, 0, MAX_EXTINCTION)
        self.airlight = check_range('airlight', airlight, 0, 1)
        self.airlight_jitter = check_range('airlight_jitter', airlight_jitter, 0, 1)[1]
        self.airlight_saturation = check_range(
            'airlight_saturation', 0. if airlight_saturation is None else airlight_saturation, 0, 1)
        self.airlight_hue = check_range('airlight_hue', airlight_hue, -MAX_HUE, MAX_HUE)
        if airlight_saturation is None:
            refuse_unused(self, dict(airlight_hue=airlight_hue), 'a coloured airlight', 'no airlight_saturation')
        self.wavelength_exponent = check_range('wavelength_exponent', wavelength_exponent, -10, 10)

    def draw(self, draw, height, width):
        airlight = draw.uniform('airlight', *self.airlight)[:, None].expand(-1, 3)
        if self.airlight_saturation[1] > 0:
            saturation = draw.uniform('airlight_saturation', *self.airlight_saturation)[:, None]
            hue = hue_to_rgb(draw.uniform('airlight_hue', *self.airlight_hue))
            airlight = airlight * (1 - saturation + saturation * hue)
        if self.airlight_jitter:
            jitter = self.airlight_jitter
            airlight = (airlight + draw.uniform('airlight_jitter', -jitter, jitter, size=3)).clamp(0, 1)
        beta = draw.uniform('beta', *self.beta)
        if self.wavelength_exponent != (0, 0):
            beta = beta[:, None] * wavelength_ratio(draw.uniform('wavelength_exponent', *self.wavelength_exponent))
        return {'airlight': airlight.contiguous(), 'beta': beta}

    def degrade(self, image, depth, params):
        return scatter(image, depth, params['airlight'], params['beta'])

    def transmission(self, image, depth, params):
        """Return ``exp(-beta d)``."""
        depth = self._proxy(image, params) if depth is None else depth
        return torch.exp(-per_sample(params['beta'], image) * self._thickness(image, depth, params))

    def _thickness(self, image, depth, params):
        return depth


@DEGRADATIONS.register_module()
class NonHomogeneousHaze(AtmosphericScattering):
    """Patchy haze: the scattering model with ``beta(x) = beta ((1 - contrast) + 2 contrast P(x))``.

    P is fractal noise in [0, 1] (Perlin 1985), so that the mean extinction stays near beta; ``contrast`` 1 lets the
    haze vanish in places. ``depth_floor`` gives it body near the camera, as patches drifting before the lens have.

    Args:
        contrast (float or pair): How patchy, in [0, 1]; 0 is :class:`AtmosphericScattering`.
        period (float or pair): Size of the largest patches, fraction of the longer side, in (0, 1].
        depth_floor (float or pair): Added to the depth, 0 to 1,000.
        **kwargs: See :class:`AtmosphericScattering`.

    Parameters drawn besides: ``contrast``, ``period``, ``depth_floor``, ``field_seed`` (N,).

    Example:
        >>> hazy, params = NonHomogeneousHaze(contrast=0.8)(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    def __init__(self, contrast=(0.2, 0.65), period=(0.2, 0.5), depth_floor=(0., 0.3), **kwargs):
        super().__init__(**kwargs)
        self.contrast = check_range('contrast', contrast, 0, 1)
        self.period = check_range('period', period, 0.01, 1)
        self.depth_floor = check_range('depth_floor', depth_floor, 0, 1e3)

    def draw(self, draw, height, width):
        return dict(super().draw(draw, height, width), contrast=draw.uniform('contrast', *self.contrast),
                    period=draw.uniform('period', *self.period), field_seed=draw.seed('field'),
                    depth_floor=draw.uniform('depth_floor', *self.depth_floor))

    def degrade(self, image, depth, params):
        return scatter(image, self._thickness(image, depth, params), params['airlight'], params['beta'])

    def _thickness(self, image, depth, params):
        height, width = image.shape[-2:]
        field = fractal_noise(params['field_seed'], height, width, params['period']).to(image)
        contrast = per_sample(params['contrast'], image)
        return (depth + per_sample(params['depth_floor'], image)) * ((1 - contrast) + 2 * contrast * field)

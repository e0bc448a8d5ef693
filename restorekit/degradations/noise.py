"""Sensor noise."""

import torch

from restorekit.functional.colour import linear_to_srgb, srgb_to_linear
from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import check_range, normal_field, per_sample


@DEGRADATIONS.register_module()
class PoissonGaussianNoise(Degradation):
    """Signal-dependent noise, ``I = J + sqrt(shot J + read) n``, n normal (Foi et al. 2008).

    Args:
        sigma (float or pair): Standard deviation of the signal-independent part in 1/255, >= 0;
            ``read = (sigma/255)^2``.
        shot (float or pair): Variance per unit of signal, >= 0, drawn with a uniform logarithm where low > 0. In
            linear light raw sensors span 1e-4 to 1.2e-2 (Brooks et al., Unprocessing Images, 2019).
        grey (float): Probability that the three channels share one noise field.
        linear (bool): Add the noise in linear light rather than to the sRGB values.

    Raises:
        ValueError: If a range is reversed or negative, or ``grey`` is not a probability.

    Parameters drawn: ``shot``, ``read``, ``grey``, ``noise_seed`` (N,).

    Example:
        >>> noisy, params = PoissonGaussianNoise(sigma=(2, 25))(torch.rand(1, 3, 8, 8), seeds=[0])
    """

    headline = 'read'

    def __init__(self, sigma=(2., 15.), shot=(1e-4, 3e-3), grey=0., linear=False):
        super().__init__()
        self.sigma = check_range('sigma', sigma, 0, 255)
        self.shot = check_range('shot', shot, 0, 1)
        self.grey = check_range('grey', grey, 0, 1)[0]
        self.linear = bool(linear)

    def draw(self, draw, height, width):
        shot = draw.log_uniform('shot', *self.shot) if self.shot[0] > 0 else draw.uniform('shot', *self.shot)
        return {'shot': shot, 'read': (draw.uniform('sigma', *self.sigma) / 255).square(),
                    'grey': draw.uniform('grey') < self.grey, 'noise_seed': draw.seed('noise')}

    def degrade(self, image, depth, params):
        count, _, height, width = image.shape
        field = torch.empty(count, 3, height, width)
        for row, grey, seed in zip(field, params['grey'].tolist(), params['noise_seed'], strict=True):
            row[:] = normal_field(seed[None], 1 if grey else 3, height, width)[0]
        clean = srgb_to_linear(image) if self.linear else image
        variance = (clean * per_sample(params['shot'], image)).add_(per_sample(params['read'], image))
        noisy = variance.sqrt_().mul_(field.to(image)).add_(clean)
        return linear_to_srgb(noisy.clamp(0, 1)) if self.linear else noisy

"""Mixup of a degraded image with its own clear image."""

from __future__ import annotations

import numpy as np

from restorekit.messages import InputError
from restorekit.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MixDensity:
    r"""Mix a pair into one of another haze density: ``I' = a I + (1 - a) J``, with the same truth J.

    With :math:`I = J t + A (1 - t)` the result is :math:`J t' + A (1 - t')` with :math:`t' = 1 - a (1 - t)`: the same
    scene under the same light in thinner haze, also where t and A are not known, as in real pairs. It is Mixup (Zhang
    et al., "mixup: beyond empirical risk minimization", ICLR 2018) of the inputs ``(I, J)`` and ``(J, J)``, whose
    mixed target is J itself; ``a`` is drawn from Beta(alpha, alpha), here mirrored to ``a >= 0.5`` unless ``full``.

    Args:
        alpha (float): Of the Beta distribution, > 0; small values leave most images nearly as they are.
        prob (float): Probability that an image is mixed at all.
        full (bool): Draw ``a`` from the whole of [0, 1]; otherwise at least half of the haze stays.

    Raises:
        InputError: If ``alpha`` is not positive or ``prob`` not in [0, 1]; or, when called, without a pair.

    Example:
        >>> pair = dict(inputs=np.full((2, 2, 3), 200, np.uint8), gt=np.zeros((2, 2, 3), np.uint8))
        >>> bool(100 <= MixDensity()(pair)['inputs'].min() <= 200)
        True
    """

    def __init__(self, alpha: float = 1.0, prob: float = 1.0, full: bool = False):
        if not alpha > 0 or not 0 <= prob <= 1:
            raise InputError(f'MixDensity: alpha must be positive and prob in [0, 1], but got {alpha} and {prob}')
        self.alpha, self.prob, self.full = alpha, prob, full

    def __call__(self, results: dict) -> dict:
        if results.get('inputs') is None or results.get('gt') is None:
            raise InputError(f'MixDensity needs a pair, but the sample of {results.get("img_path")} has '
                             f'{sorted(key for key in ("inputs", "gt") if results.get(key) is not None)}; put it after '
                             'Degrade, or use a dataset of pairs')
        share = np.random.beta(self.alpha, self.alpha)
        if not self.full:
            share = max(share, 1 - share)
        if np.random.rand() < self.prob:
            mixed = share * results['inputs'].astype(np.float64) + (1 - share) * results['gt']
            results['inputs'] = np.rint(mixed).astype(np.uint8)
        return results

"""Training of networks that predict a gain: the transmission, where it is known, says what the gain should be."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from restorekit.files.names import log
from restorekit.registry import MODELS

from .restorer import Restorer


def log_gain_loss(gain: torch.Tensor, transmission: torch.Tensor) -> torch.Tensor:
    """Return the mean of ``|log K + log t|`` over the samples whose transmission is known.

    Args:
        gain (Tensor): K, (N, 3, h, w), > 0.
        transmission (Tensor): t in (0, 1], (N, 1, H, W) or (N, 3, H, W); NaN for unknown samples.

    Returns:
        Tensor: A scalar; 0 if none is known.

    Example:
        >>> log_gain_loss(torch.full((1, 3, 2, 2), 2.0), torch.full((1, 1, 4, 4), 0.5)).item()
        0.0
    """
    log_t = F.interpolate(torch.log(transmission.clamp(min=0.05)), gain.shape[-2:], mode='area')
    known = ~log_t.isnan()
    error = (torch.log(gain) + torch.where(known, log_t, 0)).abs() * known
    return error.sum() / (3 // log_t.shape[1] * known.sum()).clamp(min=1)


@MODELS.register_module()
class AffineRestorer(Restorer):
    """Train a network with ``coefficients``, such as :class:`LowResolutionAffine`, with one loss more: on its gain.

    With ``I = J t + v`` the right gain is ``K = 1 / t``. Where the batch has ``transmission`` (``Degrade`` with
    ``transmission=True`` gives it), ``loss_gain = gain_weight mean |log K + log t|``.

    Args:
        network (dict): From ``MODELS``; its first coefficient is the gain.
        gain_weight (float): Weight of that loss; 0 switches it off.
        loss_stride (int): The losses compare images shrunk by this factor, by area. The coefficients are smooth, so
            that little is lost, and the losses cost a fraction.
        **kwargs: See :class:`Restorer`.
    """

    def __init__(self, network, gain_weight: float = 0.1, loss_stride: int = 1, **kwargs):
        super().__init__(network, **kwargs)
        self.gain_weight, self.loss_stride = gain_weight, loss_stride
        self._said = False

    def loss(self, inputs, data_samples, target=None):
        """Compute the named losses on a batch, and that on the gain."""
        coefficients = self.network.coefficients(inputs)
        seen, gt = inputs, self.ground_truth(data_samples)
        if self.loss_stride > 1:
            seen, gt = (F.avg_pool2d(x, self.loss_stride, ceil_mode=True, count_include_pad=False) for x in (seen, gt))
        pred = self.network.apply_coefficients(seen, *coefficients)
        # what is far out of range is cut off anyway; one such sample must not outweigh a batch
        pred = pred.clamp(-0.5, 1.5)
        losses = self.supervised_losses(self.to_unit(pred, None), gt)
        if self.gain_weight:
            self._say_unknown(data_samples)
            nothing = torch.full((1, 1, *inputs.shape[-2:]), torch.nan, device=inputs.device)
            t = torch.cat([(sample.transmission[None] if 'transmission' in sample else nothing).expand(1, 3, -1, -1)
                           for sample in data_samples])
            losses['loss_gain'] = self.gain_weight * log_gain_loss(coefficients[0], t)
        return losses

    def _say_unknown(self, data_samples):
        if not self._said and not any('transmission' in sample for sample in data_samples):
            log(f'AffineRestorer: gain_weight={self.gain_weight:g}, but no sample of this batch has a transmission, so '
                'that loss_gain is 0; let Degrade(transmission=True) give it, or set gain_weight=0')
            self._said = True

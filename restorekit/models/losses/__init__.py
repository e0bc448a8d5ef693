"""Losses."""

from .consistency import MeanTeacherConsistency
from .pixel import CharbonnierLoss, L1Loss, MSELoss, charbonnier_loss, l1_loss, mse_loss
from .ssim_loss import SSIMLoss, ssim_loss

__all__ = ['CharbonnierLoss', 'L1Loss', 'MSELoss', 'MeanTeacherConsistency', 'SSIMLoss', 'charbonnier_loss', 'l1_loss', 'mse_loss', 'ssim_loss']

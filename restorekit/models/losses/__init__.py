"""Losses, reweighters and alignment losses."""

from .adversarial import DomainAdversarialLoss, reverse_gradient
from .alignment import Alignment
from .chroma import ChromaLoss, chroma_loss
from .conditional_coral import DensityConditionalCORAL, haze_density
from .consistency import MeanTeacherConsistency
from .coral import CORALLoss, coral_loss
from .decorrelation import DecorrelationReweighter
from .density_ratio import DensityRatioReweighter
from .group_dro import GroupDRO
from .mean_covariance import MeanCovarianceLoss, mean_covariance_loss
from .mmd import MMDLoss, mmd_loss
from .pixel import CharbonnierLoss, L1Loss, MSELoss, charbonnier_loss, l1_loss, mse_loss
from .reweighter import Reweighter
from .ssim_loss import SSIMLoss, ssim_loss

__all__ = ['Alignment', 'CORALLoss', 'CharbonnierLoss', 'ChromaLoss', 'DecorrelationReweighter',
           'DensityConditionalCORAL', 'DensityRatioReweighter', 'DomainAdversarialLoss', 'GroupDRO', 'L1Loss',
           'MMDLoss', 'MSELoss', 'MeanCovarianceLoss', 'MeanTeacherConsistency', 'Reweighter', 'SSIMLoss',
           'charbonnier_loss', 'chroma_loss', 'coral_loss', 'haze_density', 'l1_loss', 'mean_covariance_loss',
           'mmd_loss', 'mse_loss', 'reverse_gradient', 'ssim_loss']

"""Losses, reweighters and alignment losses."""

from .adversarial import AdversarialLoss, discriminator_loss, generator_loss, gradient_penalty
from .alignment import Alignment
from .chroma import ChromaLoss, chroma_loss
from .colour import ColourLoss, colour_loss
from .conditional_coral import DensityConditionalCORAL
from .consistency import MeanTeacherConsistency
from .coral import CORALLoss, coral_loss
from .decorrelation import DecorrelationReweighter
from .density_ratio import DensityRatioReweighter
from .domain_adversarial import DomainAdversarialLoss, reverse_gradient
from .edge import EdgeLoss, edge_loss
from .features import Frozen, VGGFeatures
from .frequency import FrequencyLoss, frequency_loss
from .group_dro import GroupDRO
from .lpips_loss import LPIPSLoss, lpips_loss
from .mean_covariance import MeanCovarianceLoss, mean_covariance_loss
from .mmd import MMDLoss, mmd_loss
from .ms_ssim_loss import MSSSIMLoss, ms_ssim_loss
from .perceptual import ContrastiveLoss, PerceptualLoss, contrastive_loss
from .pixel import CharbonnierLoss, L1Loss, MSELoss, charbonnier_loss, l1_loss, mse_loss
from .psnr_loss import PSNRLoss, psnr_loss
from .rehaze import RehazeLoss, dark_channel_loss, rehaze_loss
from .reweighter import Reweighter
from .ssim_loss import SSIMLoss, ssim_loss
from .teacher import TeacherLoss, TeacherOutput, teacher_loss
from .total_variation import TVLoss, tv_loss

__all__ = [
    'AdversarialLoss', 'Alignment', 'CORALLoss', 'CharbonnierLoss', 'ChromaLoss', 'ColourLoss', 'ContrastiveLoss',
    'DecorrelationReweighter', 'DensityConditionalCORAL', 'DensityRatioReweighter', 'DomainAdversarialLoss',
    'EdgeLoss', 'FrequencyLoss', 'Frozen', 'GroupDRO', 'L1Loss', 'LPIPSLoss', 'MMDLoss', 'MSELoss', 'MSSSIMLoss',
    'MeanCovarianceLoss', 'MeanTeacherConsistency', 'PSNRLoss', 'PerceptualLoss', 'RehazeLoss', 'Reweighter',
    'SSIMLoss', 'TVLoss', 'TeacherLoss', 'TeacherOutput', 'VGGFeatures', 'charbonnier_loss', 'chroma_loss',
    'colour_loss', 'contrastive_loss', 'coral_loss', 'dark_channel_loss', 'discriminator_loss', 'edge_loss',
    'frequency_loss', 'generator_loss', 'gradient_penalty', 'l1_loss', 'lpips_loss',
    'mean_covariance_loss', 'mmd_loss', 'ms_ssim_loss', 'mse_loss', 'psnr_loss', 'rehaze_loss', 'reverse_gradient',
    'ssim_loss', 'teacher_loss', 'tv_loss',
]

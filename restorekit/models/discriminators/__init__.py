"""Discriminators of adversarial training."""

from .patch import PatchDiscriminator
from .unet import UNetDiscriminator

__all__ = ['PatchDiscriminator', 'UNetDiscriminator']

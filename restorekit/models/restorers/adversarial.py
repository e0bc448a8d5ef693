"""Adversarial training."""

from __future__ import annotations

import contextlib

from torch import Tensor, nn

from restorekit.messages import InputError
from restorekit.registry import MODELS

from .restorer import Restorer


@contextlib.contextmanager
def no_gradient_to(*modules: nn.Module):
    """Inside, what is computed with ``modules`` has gradients of its input but none of their parameters."""
    parameters = [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@MODELS.register_module()
class AdversarialRestorer(Restorer):
    """Train a network against a discriminator.

    One of the losses is an :class:`AdversarialLoss`. Both networks are updated from the same batch: the restoration
    network by the losses, the discriminator, which is another optimizer's, by its own, logged as
    ``loss_discriminator`` (and ``loss_r1``). The runner makes the second optimizer like the first, with what
    ``optim_wrapper.paramwise_cfg.discriminator`` says otherwise::

        optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-4),
                             paramwise_cfg=dict(discriminator=dict(lr=4e-4, betas=(0.0, 0.9))))

    The discriminator is saved and resumed with the training state and never handed over to another phase.

    Args:
        network (dict): From ``MODELS``.
        discriminator (dict): From ``MODELS``: images in [0, 1] to scores, for example ``UNetDiscriminator``.
        losses (dict[str, dict]): See :class:`Restorer`; one at least an ``AdversarialLoss``.
        **kwargs: See :class:`Restorer`.

    Raises:
        InputError: If no loss asks for the discriminator.

    Example:
        >>> restorer = AdversarialRestorer(
        ...     dict(type='AODNet'), dict(type='PatchDiscriminator', channels=8),
        ...     losses=dict(pixel=dict(type='L1Loss'), gan=dict(type='AdversarialLoss')))
        >>> restorer.optim_wrapper_constructor
        'AdversarialOptimWrapperConstructor'
    """

    shardable = False
    provides = (*Restorer.provides, 'discriminator')
    #: What :class:`RestoreRunner` builds the optimizers with.
    optim_wrapper_constructor = 'AdversarialOptimWrapperConstructor'

    def __init__(self, network, discriminator, losses=None, **kwargs):
        super().__init__(network, losses=losses, **kwargs)
        if losses and 'discriminator' not in self._needed:
            raise InputError(f'{type(self).__name__} needs a loss that asks for the discriminator, such as '
                             f'gan=dict(type="AdversarialLoss"), but got {", ".join(self.losses)}')
        self.discriminator = MODELS.build(discriminator) if isinstance(discriminator, dict) else discriminator

    def judge(self, images: Tensor) -> Tensor:
        """Return the discriminator's scores (N, 1, h, w), with gradients to the images and not to its weights."""
        with no_gradient_to(self.discriminator):
            return self.discriminator(images)

    def extras(self, inputs, data_samples, **known):
        return super().extras(inputs, data_samples, discriminator=self.judge, **known)

    def supervised_losses(self, pred, gt, weight=None, extras=None):
        """All named losses of ``pred`` against ``gt``, and those of the discriminator."""
        losses = super().supervised_losses(pred, gt, weight, extras)
        for loss in self.losses.values():
            if hasattr(loss, 'discriminator_loss'):
                losses.update(loss.discriminator_loss(pred, gt, self.discriminator))
        return losses

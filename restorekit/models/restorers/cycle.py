"""Training without pairs: haze is removed and put back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.degradations.haze import scatter
from restorekit.functional.ranges import rescale
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .adversarial import AdversarialRestorer, no_gradient_to
from .restorer import extra_arguments


class ScatteringEstimator(nn.Module):
    """How dense the haze of an image is, and of what colour.

    Strided convolutions and a global mean; density beta = 0.2 + 2.8 sigmoid, airlight A = sigmoid.

    Args:
        channels (int): Channels of the first layer.

    Example:
        >>> beta, airlight = ScatteringEstimator(8)(torch.rand(2, 3, 32, 32))
        >>> tuple(beta.shape), tuple(airlight.shape)
        ((2,), (2, 3))
    """

    density = (0.2, 3.0)

    def __init__(self, channels: int = 32):
        super().__init__()
        widths = (3, channels, 2 * channels, 4 * channels)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1)
                                   for a, b in zip(widths, widths[1:], strict=False))
        self.head = nn.Linear(widths[-1], 4)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = image
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        values = self.head(x.mean((2, 3))).sigmoid()
        low, high = self.density
        return low + (high - low) * values[:, 0], values[:, 1:]


class DepthEstimator(nn.Module):
    """Relative depth in (0, 1) of a clear image: a small convolutional encoder and decoder at a quarter of the size.

    Args:
        channels (int): Channels of the first layer.

    Example:
        >>> tuple(DepthEstimator(8)(torch.rand(2, 3, 32, 32)).shape)
        (2, 1, 32, 32)
    """

    def __init__(self, channels: int = 32):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, channels, 4, 2, 1), nn.LeakyReLU(0.2),
                                  nn.Conv2d(channels, 2 * channels, 4, 2, 1), nn.LeakyReLU(0.2))
        self.middle = nn.ModuleList(nn.Conv2d(2 * channels, 2 * channels, 3, padding=rate, dilation=rate)
                                    for rate in (1, 2, 4))
        self.head = nn.Conv2d(2 * channels, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.down(image)
        for conv in self.middle:
            x = x + F.leaky_relu(conv(x), 0.2)
        depth = F.interpolate(self.head(x), image.shape[-2:], mode='bilinear', align_corners=False)
        return depth.sigmoid()


@MODELS.register_module()
class CycleRestorer(AdversarialRestorer):
    r"""Learn from hazy photos and clear photos of other places, by density and depth.

    After D4 (Yang et al., "Self-augmented unpaired image dehazing via density and depth decomposition", CVPR 2022).
    With the network f, a depth estimator d and an estimator of density and airlight :math:`(\beta, A)`:

    - hazy I to clear to hazy: :math:`J = f(I)`; with :math:`t = e^{-\beta(I)\, d(J)}`, :math:`J t + A (1 - t)` is I;
    - clear J to hazy to clear: haze of a drawn density is put on J by its estimated depth, and f takes it off again;
      what was drawn is what the estimator must find, and the depth of the result that of J;
    - f(I) must pass for a clear image and the hazed J for a hazy one, before a discriminator each.

    D4's network predicts transmission; here it is any restoration network. All three parts are kept with the training
    state; only the network is handed over and used.

    Args:
        network (dict): From ``MODELS``: hazy to clear.
        discriminator (dict): From ``MODELS``; built twice, for clear and for hazy images.
        losses (dict[str, dict]): How the images of both cycles are compared: logged as ``loss_<name>_hazy`` and
            ``loss_<name>_clear``.
        adversarial (dict): An ``AdversarialLoss``.
        consistency_weight (float): Weight of density, airlight and depth.
        channels (int): Channels of the two estimators.
        **kwargs: See :class:`Restorer`.

    Raises:
        InputError: From ``loss``, if the batch has no clear images: train on an ``UnpairedDataset``, whose
            ``target_dir`` holds the clear ones.

    Example:
        >>> restorer = CycleRestorer(dict(type='AODNet'), dict(type='PatchDiscriminator', channels=4, layers=1),
        ...                          losses=dict(pixel=dict(type='L1Loss')), channels=4)
        >>> losses = restorer.loss(torch.rand(1, 3, 16, 16), [None], target=torch.rand(1, 3, 16, 16))
        >>> sorted(losses)[:3]
        ['loss_consistency', 'loss_discriminator_clear', 'loss_discriminator_hazy']
    """

    def __init__(self, network, discriminator, losses, adversarial: dict | None = None, consistency_weight: float = 1.0,
                 channels: int = 32, **kwargs):
        discriminators = nn.ModuleDict({f'of_{name}': MODELS.build(discriminator) for name in ('clear', 'hazy')})
        # the losses compare images of a cycle; what asks for a discriminator comes with ``adversarial``
        super().__init__(network, discriminators, None, **kwargs)
        self.losses = nn.ModuleDict({name: MODELS.build(loss) for name, loss in losses.items()})
        asking = [name for name, loss in self.losses.items() if extra_arguments(loss)]
        if asking:
            raise InputError(f'the losses of a CycleRestorer compare two images, but {", ".join(asking)} ask for more')
        self.adversarial = MODELS.build(adversarial or dict(type='AdversarialLoss', loss_weight=0.2))
        self.scattering, self.depth = ScatteringEstimator(channels), DepthEstimator(channels)
        self.consistency_weight = consistency_weight

    def restore(self, hazy: Tensor) -> Tensor:
        """Return what the network makes of images in [0, 1], in [0, 1] but not clamped."""
        output = self.network(rescale(hazy, (0.0, 1.0), self.network.input_range))
        return rescale(output, self.network.output_range)

    def loss(self, inputs, data_samples, target=None):
        """Compute the losses of both cycles on hazy ``inputs`` and clear ``target`` images."""
        if target is None:
            raise InputError('CycleRestorer learns from hazy and clear images, but the batch has no clear ones; make '
                             'train_dataloader.dataset an UnpairedDataset with the clear images in target_dir')
        hazy, clear = (rescale(images, self.network.input_range) for images in (inputs, target))
        restored = self.restore(hazy)
        beta, airlight = self.scattering(hazy)
        rehazed = scatter(restored, self.depth(restored), airlight, beta)

        drawn = torch.rand(len(clear)).to(clear) * (beta.max() - beta.min()).detach() + beta.min().detach()
        light = airlight.detach()[torch.randint(len(airlight), (len(clear),)).to(airlight.device)]
        depth = self.depth(clear)
        hazed = scatter(clear, depth, light, drawn)
        back = self.restore(hazed)
        found, found_light = self.scattering(hazed.detach())
        consistency = (found - drawn).abs().mean() + (found_light - light).abs().mean() \
            + (self.depth(back) - depth.detach()).abs().mean()

        losses = dict(loss_consistency=self.consistency_weight * consistency)
        for name, loss in self.losses.items():
            losses[f'loss_{name}_hazy'], losses[f'loss_{name}_clear'] = loss(rehazed, hazy), loss(back, clear)
        for name, fake, real in (('clear', restored, clear), ('hazy', hazed, hazy)):
            judge = self.discriminator[f'of_{name}']
            with no_gradient_to(judge):
                losses[f'loss_gan_{name}'] = self.adversarial(fake, real, discriminator=judge)
            for key, value in self.adversarial.discriminator_loss(fake, real, judge).items():
                losses[f'{key}_{name}'] = value
        return losses

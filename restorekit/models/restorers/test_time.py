"""A restorer that learns from each image it is given before it restores it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from restorekit.functional.ranges import rescale
from restorekit.messages import InputError
from restorekit.models.losses import l1_loss
from restorekit.random import derive_seed
from restorekit.registry import DEGRADATIONS, MODELS

from .cid import CIDRestorer


@MODELS.register_module()
class TestTimeRestorer(CIDRestorer):
    r"""Adapt to each image at test time by re-haze consistency, then restore it; the next image starts anew.

    For ``steps`` steps of plain gradient descent on the parameters of ``adapted``,

    .. math:: L(\theta) = \tfrac1n \left| f_\theta(P(x)) - \mathrm{clip}(f_{\theta_0}(x)) \right|,

    with a random degradation P (more haze) drawn anew at each step: what more haze hides must not change the restored
    picture. No label and no entropy is needed, which regression has not; after test-time training (Sun et al., ICML
    2020) and the consistency of :class:`MeanTeacherConsistency`, whose teacher is here the network before adaptation.

    Args:
        perturbation (dict): P, from ``DEGRADATIONS``.
        steps (int): Steps per image; 0 restores as :class:`CIDRestorer` does.
        step_size (float): Of the descent, > 0.
        adapted (Sequence[str]): Modules that adapt, as dotted paths from here.
        seed (int): Of the draws of P, which are the same for every image.
        **kwargs: See :class:`CIDRestorer`.

    Raises:
        InputError: For an option out of range, or an unknown module.
    """

    __test__ = False  # its name begins like a test's

    def __init__(self, network, perturbation: dict, steps: int = 4, step_size: float = 0.01,
                 adapted: Sequence[str] = ('network.decoder',), seed: int = 0, **kwargs):
        super().__init__(network, **kwargs)
        if steps < 0 or not step_size > 0:
            raise InputError(f'TestTimeRestorer: steps must be at least 0 and step_size positive, but got {steps} and '
                             f'{step_size}')
        modules = dict(self.named_modules())
        for name in adapted:
            if name not in modules:
                raise InputError(f'TestTimeRestorer: adapted names {name!r}, which is not a module of it')
        self.perturbation = DEGRADATIONS.build(perturbation) if isinstance(perturbation, dict) else perturbation
        self.steps, self.step_size, self.adapted, self.seed = steps, step_size, tuple(adapted), seed

    def predict(self, inputs, data_samples=None):
        """Adapt to and restore each image; returns as :meth:`Restorer.predict`."""
        if self.steps == 0:
            return super().predict(inputs, data_samples)
        samples = [None] * len(inputs) if data_samples is None else data_samples
        results = []
        for image, sample in zip(inputs, samples, strict=True):
            parameters = [p for name in self.adapted for p in self.get_submodule(name).parameters()]
            before = [p.detach().clone() for p in parameters]
            flags = [p.requires_grad for p in parameters]
            try:
                with torch.enable_grad():
                    self._adapt(image[None], parameters)
                results += super().predict([image], [sample])
            finally:
                with torch.no_grad():
                    for parameter, value, flag in zip(parameters, before, flags, strict=True):
                        parameter.copy_(value)
                        parameter.requires_grad_(flag)
        return results

    def _adapt(self, image, parameters):
        network = self.network
        with torch.no_grad():
            goal = rescale(network(image), network.output_range).clamp(0, 1)
            unit = rescale(image, network.input_range).float().clamp(0, 1)
        for parameter in parameters:
            parameter.requires_grad_(True)
        for step in range(self.steps):
            params = self.perturbation.sample([derive_seed(self.seed, step)], *unit.shape[-2:])
            with torch.no_grad():
                hazier = rescale(self.perturbation.apply(unit, None, params), (0.0, 1.0), network.input_range)
            loss = l1_loss(rescale(network(hazier), network.output_range), goal)
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    if gradient is not None:
                        parameter.sub_(self.step_size * gradient)

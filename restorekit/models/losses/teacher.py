"""Distillation: what a larger network makes of the same image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from restorekit.functional.precision import at_least_float32
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .pixel import l1_loss
from .weighting import check_loss_inputs, weight_at, weighted_reduce


class TeacherOutput(NamedTuple):
    """What a restorer hands over as ``teacher``: image (N, 3, H, W) in [0, 1] and embedding map, None without one."""

    image: Tensor
    embedding: Tensor | None = None


def attention_map(features: Tensor) -> Tensor:
    """Return the mean square over channels of a map (N, C, h, w), scaled to unit length per image: (N, 1, h, w).

    Zagoruyko and Komodakis, "Paying more attention to attention", ICLR 2017; it lets maps of different channels
    be compared.

    Example:
        >>> attention_map(torch.ones(1, 8, 2, 2)).flatten().tolist()
        [0.5, 0.5, 0.5, 0.5]
    """
    energy = at_least_float32(features).square().mean(1, keepdim=True)
    return energy / energy.square().sum((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)


def teacher_loss(pred: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean of w |pred - teacher|: an L1 loss whose truth is another network's image."""
    return l1_loss(pred, teacher, weight)


@MODELS.register_module()
class TeacherLoss(nn.Module):
    """Be like the teacher, in the image or in the features.

    - 'image': ``mean(w |pred - teacher image|)`` (Hinton et al., "Distilling the knowledge in a neural network", 2015,
      for regression).
    - 'embedding': squared difference of the attention maps (:func:`attention_map`) of the two embeddings, summed over
      positions, the teacher's resized to the student's; channels may differ.

    It needs a restorer with a teacher: :class:`DistillationRestorer`.

    Args:
        of (str): 'image' or 'embedding'.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target, weight: As in :class:`L1Loss`; the target is ignored.
        teacher (TeacherOutput): What the teacher makes of the input.
        embedding (Tensor): The network's own embedding map; used by 'embedding'.

    Raises:
        InputError: For another ``of``, or a teacher without an embedding.

    Example:
        >>> image = torch.rand(1, 3, 8, 8)
        >>> TeacherLoss()(image, image, teacher=TeacherOutput(image)).item()
        0.0
    """

    compares = False

    def __init__(self, of: str = 'image', loss_weight: float = 1.0):
        super().__init__()
        if of not in ('image', 'embedding'):
            raise InputError(f"TeacherLoss: of must be 'image' or 'embedding', but got {of!r}")
        self.of, self.loss_weight = of, loss_weight
        #: What the restorer must hand over; read instead of the signature, so that 'image' costs no embedding.
        self.needs = ('teacher', 'embedding') if of == 'embedding' else ('teacher',)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None, *, teacher: TeacherOutput,
                embedding: Tensor | None = None) -> Tensor:
        check_loss_inputs(pred, target, weight)
        if self.of == 'image':
            return self.loss_weight * teacher_loss(pred, teacher.image, weight)
        if teacher.embedding is None:
            raise InputError("TeacherLoss(of='embedding') needs a teacher with an embedding; use a network that "
                             "defines embed(x), or of='image'")
        size = embedding.shape[-2:]
        wanted = torch.nn.functional.adaptive_avg_pool2d(teacher.embedding, size)
        error = (attention_map(embedding) - attention_map(wanted)).square() * (size[0] * size[1])
        return self.loss_weight * weighted_reduce(error, weight_at(weight, size))

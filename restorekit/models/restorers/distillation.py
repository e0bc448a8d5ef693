"""Distillation: training a network to do what another does."""

from __future__ import annotations

import torch
from torch import Tensor

from restorekit.checkpoint import (
    build_described_network,
    load_network_weights,
    network_description,
    network_state,
)
from restorekit.functional.padding import pad_to_multiple, unpad
from restorekit.functional.ranges import rescale
from restorekit.messages import InputError
from restorekit.models.losses.features import Frozen, read_content
from restorekit.models.losses.teacher import TeacherOutput
from restorekit.registry import MODELS

from .restorer import Restorer


class Teacher(Frozen):
    """A network that is asked and never trained.

    Args:
        network (dict | None): Its config; None reads it from the checkpoint, which must be one of restorekit.
        checkpoint (str | None): Path, or URL with its hash; read when first needed. None keeps the weights as they are
            initialised.

    Raises:
        InputError: If neither is given.
        CheckpointError: If the checkpoint does not say what network it holds, or holds another.
    """

    def __init__(self, network: dict | None = None, checkpoint: str | None = None):
        super().__init__()
        self.checkpoint, self.loaded = checkpoint, checkpoint is None
        if network is None:
            if checkpoint is None:
                raise InputError('a teacher needs a network, a checkpoint, or both, but got neither')
            content = read_content(checkpoint)
            network = build_described_network(network_description(content, checkpoint),
                                              network_state(content, checkpoint), checkpoint)
            self.loaded = True
        self.network = MODELS.build(network) if isinstance(network, dict) else network
        self.requires_grad_(False).eval()

    def load(self) -> None:
        """Read the checkpoint, if that has not happened yet."""
        if not self.loaded:
            load_network_weights(self.network, network_state(read_content(self.checkpoint), self.checkpoint),
                                 str(self.checkpoint))
            self.loaded = True

    @torch.no_grad()
    def forward(self, image: Tensor, embedding: bool = False) -> TeacherOutput:
        """Return what the network makes of images (N, 3, H, W) in [0, 1] of any size."""
        self.load()
        network = self.network
        padded, padding = pad_to_multiple(image, network.size_divisor, network.min_size)
        padded = rescale(padded, (0.0, 1.0), network.input_range)
        output, features = network.forward_features(padded) if embedding else (network(padded), None)
        return TeacherOutput(unpad(rescale(output, network.output_range), padding).clamp(0, 1), features)


@MODELS.register_module()
class DistillationRestorer(Restorer):
    """Train a network, with a truth or without, to restore as a teacher does.

    Losses that ask for the ``teacher`` (:class:`TeacherLoss`) get its image and, where one of them needs it, its
    embedding map. Images without ground truth are allowed when no other loss is left: the truth is then the teacher's
    image. The teacher has its own ranges and sizes, and is in no checkpoint of the student.

    Args:
        network (dict): The student, from ``MODELS``.
        teacher (dict): Arguments of :class:`Teacher`: ``dict(checkpoint='teacher.pth')`` for a checkpoint of
            restorekit, ``dict(network=dict(type=...), checkpoint=...)`` otherwise.
        losses (dict[str, dict]): See :class:`Restorer`.
        **kwargs: See :class:`Restorer`.

    Raises:
        InputError: If no loss asks for the teacher, or one for an embedding that the teacher does not have.

    Example:
        >>> restorer = DistillationRestorer(dict(type='AODNet'), dict(network=dict(type='UNet', channels=(4, 8))),
        ...                                 losses=dict(teacher=dict(type='TeacherLoss')))
        >>> any('teacher' in name for name in restorer.state_dict())
        False
    """

    provides = (*Restorer.provides, 'teacher')

    def __init__(self, network, teacher, losses=None, **kwargs):
        super().__init__(network, losses=losses, **kwargs)
        if losses and 'teacher' not in self._needed:
            raise InputError(f'{type(self).__name__}: no loss asks for the teacher, which would have no effect; add '
                             'one such as teacher=dict(type="TeacherLoss"), or use a Restorer, but got '
                             f'{", ".join(self.losses)}')
        self.teacher = Teacher(**teacher) if isinstance(teacher, dict) else teacher
        if 'embedding' in self._needed and self.teacher.network.embedding_dim is None:
            raise InputError(f'the teacher {type(self.teacher.network).__name__} has no embedding, which a loss asks '
                             "for; use TeacherLoss(of='image')")

    def init_weights(self):
        """Initialise, and read what losses and teacher need."""
        super().init_weights()
        self.teacher.load()

    def ground_truth(self, data_samples):
        """The clear images; None if no sample has one and all losses look at the teacher."""
        alone = all('teacher' in asked for asked in self.asked.values())
        if alone and not any('gt' in sample for sample in data_samples):
            return None
        return super().ground_truth(data_samples)

    def extras(self, inputs, data_samples, **known):
        if 'teacher' in self._needed:
            image = self.unpadded(rescale(inputs, self.network.input_range), data_samples)
            known['teacher'] = self.teacher(image, 'embedding' in self._needed)
        return super().extras(inputs, data_samples, **known)

    def supervised_losses(self, pred, gt, weight=None, extras=None):
        """All named losses; without a truth, the teacher's image stands for it."""
        return super().supervised_losses(pred, extras['teacher'].image if gt is None else gt, weight, extras)

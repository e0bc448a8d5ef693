"""Batches for a plain PyTorch ``DataLoader``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch


def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Join items of a dataset into a batch: the ``collate_fn`` of a ``torch.utils.data.DataLoader``.

    With a plain sampler an item depends on its index alone: its crop is the same in every epoch. New draws come with
    the endless :class:`~restorekit.datasets.CounterSampler`.

    Args:
        items (Sequence[dict]): Of a :class:`~restorekit.datasets.RestoreDataset`: ``inputs``, a uint8 (3, H, W)
            tensor, ``data_samples``, and ``target`` of the same two where the dataset has it.

    Returns:
        dict: ``inputs``: (N, 3, H, W), or a list of (3, H, W) where sizes differ; ``data_samples``: list of
        RestoreSample; ``target``: dict of the same two. It is what a restorer's preprocessor takes.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> from restorekit.datasets import CounterSampler, ProceduralScenes
        >>> dataset = ProceduralScenes(length=4, height=32, width=48)
        >>> next(iter(DataLoader(dataset, batch_size=2, collate_fn=collate)))['inputs'].shape
        torch.Size([2, 3, 32, 48])
        >>> endless = DataLoader(dataset, batch_size=2, sampler=CounterSampler(dataset), collate_fn=collate)
        >>> [len(batch['data_samples']) for _, batch in zip(range(3), endless)]
        [2, 2, 2]
    """
    images = [item['inputs'] for item in items]
    same = len({image.shape for image in images}) == 1
    batch: dict[str, Any] = dict(inputs=torch.stack(images) if same else images,
                                 data_samples=[item['data_samples'] for item in items])
    if 'target' in items[0]:
        batch['target'] = collate([item['target'] for item in items])
    return batch

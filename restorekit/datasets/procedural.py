"""Outdoor scenes rendered by code: data for a first run, for tests and for demos, without a download."""

import hashlib

from restorekit.messages import InputError
from restorekit.random import derive_seed
from restorekit.registry import DATASETS
from restorekit.scenes import render_scene

from .base import RestoreDataset


@DATASETS.register_module()
class ProceduralScenes(RestoreDataset):
    """Clear outdoor scenes with exact depth, rendered by code; unlimited, seeded, each different.

    Args:
        length (int): Number of different scenes.
        height (int): Height in pixels.
        width (int): Width in pixels.
        style (str): Scene statistics, see ``restorekit.scenes.STYLES``.
        scene_seed (int): Names the collection: two values share no scene, so held-out sets take another one.
        **kwargs: See :class:`RestoreDataset`.

    Example:
        >>> item = ProceduralScenes(length=4, height=32, width=48)[0]
        >>> tuple(item['inputs'].shape), tuple(item['data_samples'].depth.shape)
        ((3, 32, 48), (1, 32, 48))
    """

    generated = True

    def __init__(self, length=1000, height=256, width=256, style='city', scene_seed=0, **kwargs):
        super().__init__(**kwargs)
        if length < 1:
            raise InputError(f'length must be at least 1, but got {length}')
        self.length, self.height, self.width = length, height, width
        self.style, self.scene_seed = style, scene_seed

    def __len__(self):
        return self.length

    def list_hash(self):
        """SHA-256 (hex) of the settings of the scenes."""
        settings = (self.length, self.height, self.width, self.style, self.scene_seed)
        return hashlib.sha256(f'{type(self).__name__} {settings}'.encode()).hexdigest()

    def load(self, index, seed):
        image, depth = render_scene(derive_seed(self.scene_seed, index), self.height, self.width, self.style)
        return dict(gt=image, depth=depth, img_path=f'{self.style}_{self.scene_seed}_{index:05d}.png')

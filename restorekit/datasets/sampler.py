"""The training sampler."""

import numpy as np
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from restorekit.messages import InputError
from restorekit.random import derive_seed
from restorekit.registry import DATA_SAMPLERS

from .base import Draw


@DATA_SAMPLERS.register_module()
class CounterSampler(Sampler):
    """Endless sampler whose k-th draw depends on the seed and k only.

    Draw k is the image at place k mod n of the permutation of pass k // n, and carries a seed made of (seed, k).
    With W ranks, rank r takes draws r, r + W, r + 2 W, ...: the same global batch whatever the number of ranks.
    A dataset with fewer images than a batch is drawn again, with other crops and degradations.

    Args:
        dataset (Dataset): With a length of at least 1.
        shuffle (bool): Permute each pass; otherwise draw in order.
        seed (int, optional): The run's seed; MMEngine passes it.
    """

    def __init__(self, dataset, shuffle=True, seed=None):
        self.size = len(dataset)
        if self.size < 1:
            raise InputError(f'the training dataset ({type(dataset).__name__}) is empty')
        self.shuffle = shuffle
        self.seed = 0 if seed is None else seed
        self.rank, self.world_size = get_dist_info()
        self.start = 0

    def skip(self, draws):
        """Begin the next iteration of this sampler after ``draws`` draws of each rank."""
        self.start = draws

    def __iter__(self):
        number = self.start * self.world_size + self.rank
        epoch, order = -1, None
        while True:
            if number // self.size != epoch:
                epoch = number // self.size
                order = np.random.default_rng(derive_seed(self.seed, 0, epoch)).permutation(self.size) \
                    if self.shuffle else np.arange(self.size)
            yield Draw(int(order[number % self.size]), number, derive_seed(self.seed, 1, number))
            number += self.world_size

    def __len__(self):
        return -(-self.size // self.world_size)

    def set_epoch(self, epoch):
        """Passes are counted by the draws themselves."""

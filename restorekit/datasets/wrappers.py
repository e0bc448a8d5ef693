"""Datasets made of datasets."""

import numpy as np

from restorekit.functional.random import derive_seed
from restorekit.registry import DATASETS

from .base import RestoreDataset


class _Wrapper(RestoreDataset):
    @staticmethod
    def _build(dataset):
        return DATASETS.build(dataset) if isinstance(dataset, dict) else dataset


@DATASETS.register_module()
class ConcatDataset(_Wrapper):
    """Several datasets as one.

    Args:
        datasets (list[dict] | dict[str, dict]): The datasets; named ones can be changed one by one in a child config.
        weights (list[float] | dict[str, float], optional): Probability that a draw comes from each dataset
            (normalised); the image inside it is then drawn uniformly, from the draw's seed. Default: one after the
            other, each image once.
        seed (int): See :class:`RestoreDataset`.
    """

    def __init__(self, datasets, weights=None, seed=0):
        super().__init__(seed=seed)
        if isinstance(datasets, dict):
            if isinstance(weights, dict):
                unknown = sorted(set(weights) - set(datasets))
                if unknown:
                    raise ValueError(f'weights name {unknown}, which are not among the datasets {list(datasets)}')
                weights = [weights.get(name, 0) for name in datasets]
            datasets = datasets.values()
        self.datasets = [self._build(dataset) for dataset in datasets]
        if not self.datasets:
            raise ValueError('ConcatDataset needs at least one dataset')
        self.ends = np.cumsum([len(dataset) for dataset in self.datasets])
        self.weights = None
        if weights is not None:
            if len(weights) != len(self.datasets) or min(weights) < 0 or sum(weights) <= 0:
                raise ValueError(f'weights must be {len(self.datasets)} numbers >= 0 with a sum above 0, one for each '
                                 f'dataset, but is {weights}')
            self.weights = np.cumsum(weights) / sum(weights)

    def __len__(self):
        return int(self.ends[-1])

    def __getitem__(self, key):
        draw = self.as_draw(key)
        if self.weights is not None:
            which = int(np.searchsorted(self.weights, derive_seed(draw.seed, 1) / 2**63, side='right'))
            index = derive_seed(draw.seed, 2) % len(self.datasets[which])
        else:
            which = int(np.searchsorted(self.ends, draw.index, side='right'))
            index = draw.index - (int(self.ends[which - 1]) if which else 0)
        return self.datasets[which][draw.child(3, index)]


@DATASETS.register_module()
class DomainPairDataset(_Wrapper):
    """A source item with an unlabelled image of the target domain beside it, drawn independently.

    With a target, an item has one more key, ``target=dict(inputs=..., data_samples=...)``; a ground truth the target
    dataset may have is removed, so nothing can learn from it.

    Args:
        source (dict): Dataset with ground truth; its length is this dataset's length.
        target (dict, optional): Dataset of target-domain images. A phase that needs none sets it to None.
        seed (int): See :class:`RestoreDataset`.
    """

    def __init__(self, source, target=None, seed=0):
        super().__init__(seed=seed)
        self.source, self.target = self._build(source), self._build(target)
        if self.target is not None and len(self.target) == 0:
            raise ValueError('the target dataset of DomainPairDataset is empty')

    def __len__(self):
        return len(self.source)

    def __getitem__(self, key):
        draw = self.as_draw(key)
        item = self.source[draw.child(0)]
        if self.target is None:
            return item
        target = self.target[draw.child(1, derive_seed(draw.seed, 2) % len(self.target))]
        for field in ('gt', 'depth'):
            if field in target['data_samples']:
                delattr(target['data_samples'], field)
        item['target'] = target
        return item

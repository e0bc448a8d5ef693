"""Datasets made of datasets."""

import hashlib

import numpy as np

from restorekit.messages import InputError
from restorekit.random import derive_seed
from restorekit.registry import DATASETS

from .base import RestoreDataset
from .folders import SingleDataset


class _Wrapper(RestoreDataset):
    own_draws = False  # whether an item asked for by a plain index is drawn as its part alone would draw it

    def _build(self, dataset):
        if isinstance(dataset, dict) and dataset.get('seed') and not self.own_draws:
            raise InputError(f'{type(self).__name__}: seed={dataset["seed"]} of its {dataset.get("type")} has no '
                             'effect, since a part draws with the seed of the whole; give seed to '
                             f'{type(self).__name__}')
        return DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    def parts(self):
        """The wrapped datasets by name."""
        raise TypeError(f'{type(self).__name__} does not define parts()')

    def leaves(self):
        """The datasets this one is made of, with their names, those of wrappers inside joined by ``/``."""
        return [(f'{name}/{inner}' if isinstance(part, _Wrapper) else name, leaf)
                for name, part in self.parts().items()
                for inner, leaf in (part.leaves() if isinstance(part, _Wrapper) else [(None, part)])]

    def list_hash(self):
        """SHA-256 (hex) of the wrapped datasets' hashes, in order."""
        return hashlib.sha256(' '.join(part.list_hash() for part in self.parts().values()).encode()).hexdigest()

    def broken(self):
        """Paths of the files found broken so far in any of the wrapped datasets."""
        return list(dict.fromkeys(path for part in self.parts().values() for path in part.broken()))


@DATASETS.register_module()
class ConcatDataset(_Wrapper):
    """Several datasets as one.

    Args:
        datasets (list[dict] | dict[str, dict]): The datasets; named ones can be changed one by one in a child config,
            which drops one by None.
        weights (list[float] | dict[str, float], optional): Probability that a draw comes from each dataset
            (normalised); the image inside it is then drawn uniformly, from the draw's seed. Default: one after the
            other, each image once; so is an item asked for by a plain index, as in validation, in any case.
        seed (int): See :class:`RestoreDataset`.
        own_draws (bool): Draw an item asked for by a plain index (crops, degradations) as its dataset does alone, by
            its own seed and index, whatever stands before it; so test sets are joined by ``--data``.
    """

    def __init__(self, datasets, weights=None, seed=0, own_draws=False):
        super().__init__(seed=seed)
        self.own_draws = own_draws
        if isinstance(datasets, dict):
            datasets = {name: dataset for name, dataset in datasets.items() if dataset is not None}
            if isinstance(weights, dict):
                unknown = sorted(set(weights) - set(datasets))
                if unknown:
                    raise InputError(f'weights name {unknown}, which are not among the datasets {list(datasets)}')
                weights = [weights.get(name, 0) for name in datasets]
        else:
            if isinstance(weights, dict):
                raise InputError('weights is a dict of names, but datasets is a list; give both as dicts or as lists')
            datasets = dict(enumerate(datasets))
        self.names = [str(name) for name in datasets]
        self.datasets = [self._build(dataset) for dataset in datasets.values()]
        if not self.datasets:
            raise InputError('ConcatDataset needs at least one dataset')
        self.ends = np.cumsum([len(dataset) for dataset in self.datasets])
        self.weights = None
        if weights is not None:
            if len(weights) != len(self.datasets) or not all(0 <= weight < np.inf for weight in weights) or \
                    sum(weights) <= 0:
                raise InputError(f'weights must be {len(self.datasets)} numbers >= 0 with a sum above 0, one for each '
                                 f'dataset, but got {weights}')
            self.weights = np.cumsum(weights) / sum(weights)

    def __len__(self):
        return int(self.ends[-1])

    def parts(self):
        return dict(zip(self.names, self.datasets, strict=True))

    def files(self, index):
        """Paths of the files of the item at this place of the datasets one after the other."""
        which, index = self._find(range(len(self))[index])
        return self.datasets[which].files(index)

    def _find(self, index):
        which = int(np.searchsorted(self.ends, index, side='right'))
        return which, index - (int(self.ends[which - 1]) if which else 0)

    def __getitem__(self, key):
        draw = self.as_draw(key)
        if self.weights is not None and not draw.fixed:
            which = int(np.searchsorted(self.weights, derive_seed(draw.seed, 1) / 2**63, side='right'))
            index = derive_seed(draw.seed, 2) % len(self.datasets[which])
        else:
            which, index = self._find(draw.index)
        if draw.fixed and self.own_draws:
            return self.datasets[which][index]
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
            raise InputError('the target dataset of DomainPairDataset is empty')

    def __len__(self):
        return len(self.source)

    def parts(self):
        return dict(source=self.source) if self.target is None else dict(source=self.source, target=self.target)

    def files(self, index):
        """Paths of the files of the source item; which target comes with it depends on the draw."""
        return self.source.files(index)

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


@DATASETS.register_module()
class UnpairedDataset(DomainPairDataset):
    """Images of one folder, each with an image of another beside it that is drawn independently.

    Item i has image i of ``input_dir`` as ``inputs``; its ``target`` is as that of :class:`DomainPairDataset`.

    Args:
        input_dir (str | list[str]): Folders or LMDBs of the one kind, as of :class:`SingleDataset`.
        target_dir (str | list[str]): Those of the other kind.
        pipeline (list[dict] | dict[str, dict]): Transforms of the inputs.
        target_pipeline (list[dict] | dict[str, dict], optional): Transforms of the targets; default: the same.
        domain (str): Name of the inputs' domain.
        target_domain (str): Name of the targets' domain.
        include, ann_file, expected: Of the inputs, see :class:`SingleDataset`.
        target_include, target_ann_file: The same of the targets.
        on_error, backend_args, cache, seed: Of both, see :class:`SingleDataset`.

    Example:
        >>> UnpairedDataset('hazy', 'clear')[0]['target']['inputs'].shape  # doctest: +SKIP
        torch.Size([3, 480, 640])
    """

    def __init__(self, input_dir, target_dir, pipeline=(), target_pipeline=None, domain='source',
                 target_domain='target', include=None, ann_file=None, expected=None, target_include=None,
                 target_ann_file=None, on_error='raise', backend_args=None, cache=False, seed=0):
        shared = dict(on_error=on_error, backend_args=backend_args, cache=cache, seed=seed)
        super().__init__(
            SingleDataset(input_dir, include, ann_file, pipeline=pipeline, domain=domain, expected=expected, **shared),
            SingleDataset(target_dir, target_include, target_ann_file, domain=target_domain,
                          pipeline=pipeline if target_pipeline is None else target_pipeline, **shared), seed)

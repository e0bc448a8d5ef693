"""Degradations made of degradations."""

import torch

from restorekit.messages import InputError, InputTypeError
from restorekit.random import derive_seed
from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import check_range
from .params import select, with_rows


def build_degradation(config, where='degradation'):
    """Build a degradation from a config dict; an object passes through.

    Args:
        config (dict or Degradation): ``dict(type=..., ...)`` or an object.
        where (str): What errors call it.

    Raises:
        TypeError: If it is neither.
        KeyError: If the type is not registered; the message gives the nearest names.

    Example:
        >>> build_degradation(dict(type='JPEG', quality=50)).quality
        (50, 50)
    """
    built = DEGRADATIONS.build(config) if isinstance(config, dict) else config
    if not isinstance(built, Degradation):
        raise InputTypeError(f'{where} must be a config dict or a Degradation, but got {config!r}')
    return built


class _Composition(Degradation):
    """Children in one list; child i of a sample draws with ``derive_seed(seed, i)``, whatever its siblings are."""

    composite = True

    def __init__(self, children):
        super().__init__()
        if not isinstance(children, (list, tuple)) or not children:
            raise InputError(f'{type(self).__name__}: children must be a non-empty list of degradations, '
                             f'but got {children!r}')
        self.children = [build_degradation(child, f'{type(self).__name__}: children[{i}]')
                         for i, child in enumerate(children)]
        self.names = [f'{i}_{type(child).__name__}' for i, child in enumerate(self.children)]

    def _turns(self, params):
        """Indices of the children that parameters of one sample may hold, in the order they are applied."""
        return range(len(self.children))

    def describe(self, params, every=False):
        return [text for index in self._turns(params) if self.names[index] in params
                for text in self.children[index].describe(params[self.names[index]], every)]

    def _sample_child(self, index, draw, rows, height, width):
        seeds = [derive_seed(int(draw.seeds[row]), index) for row in rows]
        return with_rows(self.children[index].sample(seeds, height, width), rows, len(draw))

    def run(self, image, depth, params, owned=False):
        # every child clips already
        return self.degrade(image, depth, params, owned)

    def _parts(self, indices, params):
        return [(self.children[index], params[self.names[index]]) for index in indices]

    def transmission(self, image, depth, params):
        """The product over the children that know theirs; NaN for samples where none does."""
        total = torch.full_like(image, torch.nan)
        for name, child in zip(self.names, self.children, strict=True):
            if name not in params:
                continue
            inner = {key: value for key, value in params[name].items() if key != 'rows'}
            rows = params[name].get('rows', torch.arange(len(image))).to(image.device)
            t = child.transmission(image[rows], None if depth is None else depth[rows], inner)
            if t is not None:
                total[rows] = torch.where(total[rows].isnan(), t, total[rows] * t)
        return None if bool(total.isnan().all()) else total


def run_parts(parts, image, depth, owned=False):
    """Run each (child, params) of ``parts`` on the samples its params are for; the others pass through.

    ``owned`` says that no one else needs ``image``: then it may be overwritten, which saves a copy of the batch.
    """
    if not parts:
        return image
    if 'rows' not in parts[0][1]:
        child, params = parts[0]
        return child.run(image, depth, params, owned)
    if sum(len(params['rows']) for _, params in parts) == len(image):
        result = torch.empty_like(image)
    else:
        result = image if owned and not image.requires_grad else image.clone()
    for child, params in parts:
        rows = params['rows'].to(image.device)
        inner = {name: value for name, value in params.items() if name != 'rows'}
        part = image.index_select(0, rows)
        result[rows] = child.run(part, None if depth is None else depth.index_select(0, rows), inner, True)
    return result


def run_in_turn(parts, image, depth, owned=False):
    """Run each (child, params) of ``parts`` on the result of the one before."""
    start = image
    for part in parts:
        image = run_parts([part], image, depth, owned or image is not start)
    return image


@DEGRADATIONS.register_module()
class Sequential(_Composition):
    """Apply every child in order; each clips to [0, 1].

    Args:
        children (list): Degradations or their config dicts.

    Parameters drawn: one nested dict per child, named ``{index}_{class}``.

    Example:
        >>> chain = Sequential([dict(type='AtmosphericScattering'), dict(type='JPEG', quality=60)])
        >>> hazy, params = chain(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    def draw(self, draw, height, width):
        rows = range(len(draw))
        return {name: self._sample_child(i, draw, rows, height, width) for i, name in enumerate(self.names)}

    def degrade(self, image, depth, params, owned=False):
        return run_in_turn(self._parts(range(len(self.children)), params), image, depth, owned)


@DEGRADATIONS.register_module()
class OneOf(_Composition):
    """Apply one child to each sample.

    Args:
        children (list): Degradations or their config dicts.
        weights (sequence of float, optional): Chances, >= 0, scaled to sum to 1. Equal by default.

    Raises:
        ValueError: If the weights do not fit the children, are negative, or sum to 0.

    Parameters drawn: ``choice`` (N,), and one nested dict per child that was chosen, for the samples that chose it.

    Example:
        >>> either = OneOf([dict(type='JPEG'), dict(type='Blur')], weights=[0.8, 0.2])
        >>> degraded, params = either(torch.rand(4, 3, 16, 16), seeds=[0, 1, 2, 3])
    """

    def __init__(self, children, weights=None):
        super().__init__(children)
        weights = [1.] * len(self.children) if weights is None else [float(weight) for weight in weights]
        if len(weights) != len(self.children):
            raise InputError(f'OneOf: weights has {len(weights)} entries for {len(self.children)} children')
        if not all(weight >= 0 for weight in weights) or not 0 < sum(weights) < float('inf'):
            raise InputError(f'OneOf: weights must be >= 0 and not all 0, but got {weights}')
        self.weights = weights

    def draw(self, draw, height, width):
        choice = draw.choice('choice', self.weights)
        params = {'choice': choice}
        for index in sorted(set(choice.tolist())):
            rows = torch.nonzero(choice == index).flatten().tolist()
            params[self.names[index]] = self._sample_child(index, draw, rows, height, width)
        return params

    def degrade(self, image, depth, params, owned=False):
        return run_parts(self._parts(sorted(set(params['choice'].tolist())), params), image, depth, owned)


@DEGRADATIONS.register_module()
class Maybe(_Composition):
    """Apply a degradation to a sample with probability p.

    Args:
        child (dict or Degradation): What to apply.
        p (float): Probability, in [0, 1].

    Raises:
        ValueError: If p is not a probability.

    Parameters drawn: ``applied`` (N,) bool, and the child's for the samples where it is true.

    Example:
        >>> degraded, params = Maybe(dict(type='JPEG'), p=0.5)(torch.rand(2, 3, 16, 16), seeds=[0, 1])
    """

    def __init__(self, child, p=0.5):
        super().__init__([child])
        if isinstance(p, (tuple, list)):
            raise InputTypeError(f'p must be one number in [0, 1], but got {p!r}')
        self.p = check_range('p', p, 0, 1)[0]

    def draw(self, draw, height, width):
        applied = draw.uniform('applied').double() < self.p
        params = {'applied': applied}
        rows = torch.nonzero(applied).flatten().tolist()
        if rows:
            params[self.names[0]] = self._sample_child(0, draw, rows, height, width)
        return params

    def degrade(self, image, depth, params, owned=False):
        return run_parts(self._parts([0], params), image, depth, owned) if bool(params['applied'].any()) else image


@DEGRADATIONS.register_module()
class Shuffle(_Composition):
    """Apply every child, in an order drawn for each sample.

    Args:
        children (list): Degradations or their config dicts.

    Parameters drawn: ``order`` (N, number of children), and one nested dict per child.

    Example:
        >>> shuffled = Shuffle([dict(type='Blur'), dict(type='PoissonGaussianNoise'), dict(type='JPEG')])
        >>> degraded, params = shuffled(torch.rand(2, 3, 16, 16), seeds=[0, 1])
    """

    def draw(self, draw, height, width):
        rows = range(len(draw))
        params = {'order': draw.permutation('order', len(self.children))}
        params.update((name, self._sample_child(i, draw, rows, height, width)) for i, name in enumerate(self.names))
        return params

    def degrade(self, image, depth, params, owned=False):
        orders = [tuple(order) for order in params['order'].tolist()]
        parts = []
        for order in sorted(set(orders)):
            rows = [i for i, item in enumerate(orders) if item == order]
            parts.append((_Ordered(self, order), with_rows(select(params, rows), rows, len(orders))))
        return run_parts(parts, image, depth, owned)

    def _turns(self, params):
        return params['order']


class _Ordered:
    """A :class:`Shuffle` in one fixed order."""

    def __init__(self, shuffle, order):
        self.shuffle, self.order = shuffle, order

    def run(self, image, depth, params, owned=False):
        return run_in_turn(self.shuffle._parts(self.order, params), image, depth, owned)

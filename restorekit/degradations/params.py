"""Drawn parameters as they travel: picked, joined, written as JSON and read back.

Parameters are a dict of names to CPU tensors whose first dimension is the batch, or to such dicts. A nested dict that
holds an int64 tensor ``rows`` has parameters for these samples of the batch only (the ones a :class:`OneOf` sent
there); without ``rows`` it has them for all.
"""

import torch


def params_length(params):
    """Return the number of samples, or None for parameters without a tensor."""
    for name, value in params.items():
        if name != 'rows' and torch.is_tensor(value):
            return len(value)
    for value in params.values():
        if isinstance(value, dict) and 'rows' not in value:
            count = params_length(value)
            if count is not None:
                return count
    return None


def select(params, index):
    """Return the parameters of the samples ``index``.

    Args:
        params (dict): Parameters of N samples.
        index (int or sequence of int): Which ones, in which order, each once.

    Returns:
        dict: Parameters of ``len(index)`` samples.

    Example:
        >>> select(dict(beta=torch.tensor([1., 2., 3.])), [2, 0])
        {'beta': tensor([3., 1.])}
    """
    index = [int(i) for i in ([index] if isinstance(index, int) else index)]
    picked = {}
    for name, value in params.items():
        if not isinstance(value, dict):
            picked[name] = value[index]
        elif 'rows' not in value:
            picked[name] = select(value, index)
        else:
            position = {row: k for k, row in enumerate(value['rows'].tolist())}
            rows = [i for i, row in enumerate(index) if row in position]
            if rows:
                inner = select(_without_rows(value), [position[index[i]] for i in rows])
                picked[name] = with_rows(inner, rows, len(index))
    return picked


def stack(params):
    """Join parameters of several batches (or single samples) into those of one batch.

    Args:
        params (list of dict): Parameters drawn by the same degradation.

    Returns:
        dict: Parameters of all their samples, in order.

    Example:
        >>> stack([dict(beta=torch.tensor([1.])), dict(beta=torch.tensor([2.]))])
        {'beta': tensor([1., 2.])}
    """
    return params_from_json([row for item in params for row in params_to_json(item)]) if params else {}


def params_to_json(params):
    """Write parameters as one JSON-able dict per sample; :func:`params_from_json` reads them back bit for bit.

    Example:
        >>> params_to_json(dict(beta=torch.tensor([1., 2.])))
        [{'beta': 1.0}, {'beta': 2.0}]
    """
    count = params_length(params)
    rows = [{} for _ in range(count or 0)]
    for name, value in params.items():
        if isinstance(value, dict):
            index = value['rows'].tolist() if 'rows' in value else range(len(rows))
            inner = params_to_json(_without_rows(value)) or [{} for _ in index]
            for i, item in zip(index, inner, strict=True):
                rows[i][name] = item
        else:
            for row, item in zip(rows, value.tolist(), strict=True):
                row[name] = item
    return rows


def params_from_json(rows):
    """Read what :func:`params_to_json` wrote.

    Args:
        rows (list of dict): One per sample.

    Returns:
        dict: Parameters; floats become float32, integers int64, booleans bool.

    Raises:
        ValueError: If the samples do not share the same names.

    Example:
        >>> params_from_json([{'beta': 1.0}, {'beta': 2.0}])
        {'beta': tensor([1., 2.])}
    """
    names = dict.fromkeys(name for row in rows for name in row)
    params = {}
    for name in names:
        index = [i for i, row in enumerate(rows) if name in row]
        values = [rows[i][name] for i in index]
        if isinstance(values[0], dict):
            params[name] = with_rows(params_from_json(values), index, len(rows))
        elif len(index) < len(rows):
            raise ValueError(f'parameter {name!r} is missing in sample '
                             f'{next(i for i in range(len(rows)) if i not in index)}: were they drawn by the same '
                             'degradation?')
        else:
            tensor = torch.tensor(values)
            params[name] = tensor.float() if tensor.is_floating_point() else tensor
    return params


def with_rows(params, rows, count):
    """Mark nested parameters as those of ``rows`` out of ``count`` samples, unless that is all of them in order."""
    rows = list(rows)
    return params if rows == list(range(count)) else {'rows': torch.tensor(rows, dtype=torch.int64), **params}


def _without_rows(params):
    return {name: value for name, value in params.items() if name != 'rows'}

"""The log's history, which MMEngine copies whole at every value."""

import copy

import numpy as np
import pytest
from mmengine.logging import HistoryBuffer

from restorekit.checkpoint import plain, restore_history
from restorekit.engine.history import GrowingHistory, Histories


@pytest.mark.parametrize(('start', 'max_length'), [(0, 10**6), (3, 10**6), (0, 7), (5, 7), (1500, 1024)])
def test_history_is_what_mmengine_makes_of_it(start, max_length):
    values = np.random.default_rng(0).random(3000)
    ours, theirs = (kind(values[:min(start, max_length)], np.ones(min(start, max_length)), max_length)
                    for kind in (GrowingHistory, HistoryBuffer))
    for i, value in enumerate(values):
        ours.update(float(value), i % 3 + 1)
        theirs.update(float(value), i % 3 + 1)
        if i % 500 == 100:  # as a checkpoint does
            hub = Histories(restore_history(plain(dict(a=ours)))) if i % 1000 == 100 else copy.deepcopy(dict(a=ours))
            ours = hub['a']
            assert type(ours) is GrowingHistory
    for a, b in zip(ours.data, theirs.data, strict=True):
        assert np.array_equal(a, b) and a.dtype == b.dtype
    assert ours.mean(5) == theirs.mean(5) and ours.current() == theirs.current() and ours.max() == theirs.max()


def test_a_copy_does_not_grow_into_the_original():
    first = GrowingHistory()
    for value in (1.0, 2.0):
        first.update(value)
    second = copy.copy(first)
    second.update(3.0)
    first.update(4.0)
    assert first.data[0].tolist() == [1, 2, 4] and second.data[0].tolist() == [1, 2, 3]


def test_what_is_no_number_is_refused_as_before():
    with pytest.raises(TypeError, match='log_val must be int or float'):
        GrowingHistory().update('1')


def test_values_are_written_into_room_that_is_there():
    history = GrowingHistory()
    history.update(1.0)
    room = history.data[0].base
    for value in range(1000):
        history.update(float(value))
    assert history.data[0].base is room


def test_history_of_two_dimensions_does_what_mmengine_does():
    ours, theirs = (kind([[1, 2, 3], [4, 5, 6]], [[1, 1, 1], [1, 1, 1]]) for kind in (GrowingHistory, HistoryBuffer))
    ours.update(7)
    theirs.update(7)
    assert ours.data[0].tolist() == theirs.data[0].tolist() == [1, 2, 3, 4, 5, 6, 7]

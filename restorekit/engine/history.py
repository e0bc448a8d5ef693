"""The log's history of a long run."""

from collections import OrderedDict

import numpy as np
from mmengine.logging import HistoryBuffer


class GrowingHistory(HistoryBuffer):
    """MMEngine's history, which appends in constant time; MMEngine's copies the whole history at every value.

    Example:
        >>> history = GrowingHistory([1.0], [1])
        >>> history.update(3.0)
        >>> float(history.mean())
        2.0
    """

    def update(self, log_val: float, count: int = 1) -> None:
        """Append a value and its count, in room that is doubled when it is full."""
        if self._log_history.ndim != 1 or not isinstance(log_val, (int, float)) or not isinstance(count, (int, float)):
            super().update(log_val, count)  # its error
            return
        room, kept = self._log_history.base, len(self._log_history)
        owner, end = self.__dict__.get('_room', (None, 0))
        if owner != id(self) or room is None or end == room.shape[1]:  # new, a copy, or full
            room, end = np.empty((2, max(1024, 2 * kept))), kept
            room[0, :kept], room[1, :kept] = self._log_history, self._count_history
        room[:, end] = log_val, count
        end += 1
        start = end - min(kept + 1, self.max_length)
        self._log_history, self._count_history = room[0, start:end], room[1, start:end]
        self._room = id(self), end


class Histories(OrderedDict):
    """The scalars of a message hub: each history that is put in becomes a :class:`GrowingHistory`."""

    def __setitem__(self, key, history):
        if not isinstance(history, GrowingHistory):
            history = GrowingHistory(*history.data, history.max_length)
        super().__setitem__(key, history)

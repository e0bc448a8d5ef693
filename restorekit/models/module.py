"""The base class of everything that has weights."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn


class Module(nn.Module):
    """A module with ``init_cfg``, as MMEngine's ``BaseModule``, which does the work of :meth:`init_weights`.

    It is a class of its own, since importing ``mmengine.model`` takes as long as torch, and restoring an image needs
    none of it.

    Args:
        init_cfg (dict | list[dict], optional): MMEngine's initialisation config.

    Example:
        >>> Module(dict(type='Normal', layer='Conv2d')).init_cfg['layer']
        'Conv2d'
    """

    def __init__(self, init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None):
        super().__init__()
        self._is_init = False
        self.init_cfg = copy.deepcopy(init_cfg)

    @property
    def is_init(self) -> bool:
        """Whether :meth:`init_weights` has been called."""
        return self._is_init

    def init_weights(self) -> None:
        """Initialise the weights as ``init_cfg``, and those of the modules inside, say."""
        from mmengine.model import BaseModule
        BaseModule.init_weights(self)

    def _dump_init_info(self) -> None:
        from mmengine.model import BaseModule
        BaseModule._dump_init_info(self)

"""A tracker whose backend in MMEngine no longer suits its package."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.visualization import MLflowVisBackend as EngineMLflowVisBackend

from restorekit.registry import VISBACKENDS


@VISBACKENDS.register_module(name='MLflowVisBackend')
class MLflowVisBackend(EngineMLflowVisBackend):
    """MMEngine's MLflow backend, for MLflow 3: in a database, since it refuses folders; images with step and format.

    In the names of numbers, what MLflow does not allow becomes ``-``: ``val/PSNR@rgb`` is ``val/PSNR-rgb``.

    Args:
        save_dir (str): MMEngine passes it.
        tracking_uri (str, optional): Default: the variable MLFLOW_TRACKING_URI, otherwise ``'sqlite:///mlflow.db'``,
            which ``mlflow ui --backend-store-uri sqlite:///mlflow.db`` shows.
        run_name (str, optional): Default: the last two folders of the run's, such as ``'cid_quickstart/adapt'``.
        **kwargs: ``exp_name``, ``tags`` and others, see MMEngine.
    """

    def __init__(self, save_dir: str, tracking_uri: str | None = None, run_name: str | None = None, **kwargs: Any):
        run_name = run_name or '/'.join(Path(save_dir).absolute().parts[-4:-2])  # above TIME/vis_data
        uri = tracking_uri or os.environ.get('MLFLOW_TRACKING_URI') or 'sqlite:///mlflow.db'
        super().__init__(save_dir, tracking_uri=uri, run_name=run_name, **kwargs)

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Record an image, uint8 (H, W, 3) RGB, as the artifact ``NAME_STEP.png``."""
        super().add_image(f'{name}_{step}.png', image, step)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number."""
        super().add_scalar(_allowed(name), value, step)

    def add_scalars(self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | None = None,
                    **kwargs: Any) -> None:
        """Record numbers by name."""
        super().add_scalars({_allowed(name): value for name, value in scalar_dict.items()}, step)

    def close(self) -> None:
        """Keep the logs of the work dir with the run and end it; again it does nothing, where MMEngine begins a run."""
        if hasattr(self, '_mlflow') and self._mlflow.active_run() is not None:
            super().close()


def _allowed(name):
    return re.sub(r'[^/\w.\- ]', '-', name)

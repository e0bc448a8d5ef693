"""Restoring frames that follow each other: what a network sees of the whole image is smoothed over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from restorekit.files.image_io import unit_scale
from restorekit.files.photo import Photo
from restorekit.functional.shrink import shrink

from .grain import Grain
from .pipeline import RestorationPipeline

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .arguments import RestoreOptions
    from .onnx_backend import OnnxBackend
    from .torch_backend import TorchBackend

#: Mean difference of two small copies, in [0, 1], from which on a new scene begins.
_CUT = 0.12
#: The same from the average of the last frames: from here on the scene moves, and follows in the usual time; the less
#: it moves, the longer that takes, up to so many times.
_MOVES, _SLOWEST = 0.02, 20


class SequenceRestorer:
    """A pipeline for consecutive frames: the same pictures, without flicker.

    A network that looks at the whole image (at its airlight, its colour) answers a little differently to every frame,
    which shows as flicker. What it sees, its coefficients or global averages, is averaged over the last frames with
    weights that fall off exponentially, and begins anew where a new scene does. While the scene stands still, so that
    only the noise of the camera is seen, it is averaged over up to twenty times as many. Where nothing moves, the grain
    of the frames is kept as it is and not amplified (:class:`~restorekit.inference.grain.Grain`), with any network.

    Args:
        pipeline (RestorationPipeline): The model.
        frames (float): Number of frames after which a change has arrived by 63 percent; 0: no smoothing.

    Example::

        restorer = SequenceRestorer(restorekit.load('haze'))
        clear = [restorer.restore_pixels(frame) for frame in frames]
    """

    def __init__(self, pipeline: RestorationPipeline, frames: float = 25):
        self.pipeline, self.frames = pipeline, frames
        self.held: Sequence[np.ndarray] | None = None
        self.grain: Grain | None = None
        self.small: np.ndarray | None = None
        self.usual: np.ndarray | None = None

    @property
    def backend(self) -> TorchBackend | OnnxBackend:
        """The pipeline's."""
        return self.pipeline.backend

    def restore_pixels(self, pixels: np.ndarray, *, name: str = 'the image', **options: Unpack[RestoreOptions]
                       ) -> np.ndarray:
        """Restore the next frame; see :meth:`RestorationPipeline.restore_pixels`."""
        if not self.frames:
            return self.pipeline.restore_pixels(pixels, name=name, **options)
        full = float(unit_scale(pixels, name))
        small = shrink(pixels, min(32, pixels.shape[0]), min(32, pixels.shape[1])) / full
        cut = self.small is None or small.shape != self.small.shape or bool(np.abs(small - self.small).mean() > _CUT)
        self._follow(self.pipeline.look(pixels), small, cut)
        if self.grain is None or self.grain.full != full:
            self.grain = Grain(full)
        still = self.grain.still(pixels, cut)
        return self.grain.put_back(pixels, still, self.pipeline.restore_pixels(still, name=name, held=self.held,
                                                                               **options))

    def _follow(self, seen: Sequence[np.ndarray] | None, small: np.ndarray, cut: bool) -> None:
        if seen is None:
            self.held = None
        elif self.held is None or self.usual is None or cut:
            self.held, self.usual = seen, small
        else:
            weight = 1 - float(np.exp(-1 / self.frames))
            moves = float(np.abs(small - self.usual).mean()) / _MOVES
            self.usual = self.usual + (small - self.usual) * weight
            weight *= min(1.0, max(moves, 1 / _SLOWEST))
            self.held = [old + (new - old) * weight for old, new in zip(self.held, seen, strict=True)]
        self.small = small

    def restore_photo(self, photo: Photo, name: str = 'the image', **options: Unpack[RestoreOptions]) -> Photo:
        """Restore the next frame, given as a photo; see :meth:`RestorationPipeline.restore_photo`."""
        return self.pipeline.restore_photo(photo, name, restore=self.restore_pixels, **options)

    def tiles(self, height: int, width: int, name: str = 'the image') -> Sequence[int | None]:
        """See :meth:`RestorationPipeline.tiles`."""
        return self.pipeline.tiles(height, width, name)

    def state(self) -> dict[str, np.ndarray]:
        """Return what is carried from frame to frame, as arrays."""
        found = {} if self.small is None else dict(small=self.small)
        if self.grain is not None and self.grain.mean is not None:
            found |= dict(grain=self.grain.mean, grain_count=np.array([self.grain.count, self.grain.full]))
        if self.held is not None and self.usual is not None:
            held = {f'held{i}': x for i, x in enumerate(self.held)}
            found |= dict(usual=self.usual, **held)
        return found

    def restore_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what :meth:`state` returned."""
        self.small = state.get('small')
        if 'grain' in state:
            self.grain = Grain(float(state['grain_count'][1]))
            self.grain.mean, self.grain.count = state['grain'], int(state['grain_count'][0])
        if 'usual' in state:
            count = sum(name.startswith('held') for name in state)
            self.usual = state['usual']
            self.held = [state[f'held{i}'] for i in range(count)]

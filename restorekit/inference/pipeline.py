"""Restoring images of any size and depth with a trained network."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast, overload

import numpy as np

from restorekit.files.image_io import unit_scale
from restorekit.files.photo import Page, Photo, read_photo, write_photo
from restorekit.functional.shrink import shrink
from restorekit.messages import InputError, UserError

from .arguments import RestoreOptions, check_mask, check_strength, check_tile, make_backend
from .blending import HighlightGuard, blend, enlarge_rows, fill_transparent
from .flat_areas import smooth_flat_areas
from .memory import ImageMemoryError, is_out_of_memory, megabytes
from .objects import as_photo, restore_object
from .tiling import Axis, plan_axis, restore_tiles

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from typing_extensions import Unpack

    from .batch import FileOptions, RestoreReport
    from .onnx_backend import OnnxBackend
    from .torch_backend import TorchBackend

_Emit = Callable[[int, np.ndarray], None]
_Object = TypeVar('_Object', np.ndarray, 'torch.Tensor', 'Image.Image')

#: Images up to this many pixels are restored whole where the memory allows it.
WHOLE_PIXELS = 2 ** 22
#: Larger ones are tiled as soon as a pass takes more than this, however much is free.
TILE_MEMORY = 640 * 2 ** 20
_TILES = (2048, 1536, 1024, 768, 512, 384, 256, 192, 128, 64)
_STRIP_PIXELS = 2 ** 19
#: Size of the copy from which global averages of a film's frames are taken.
_LOOK_PIXELS = 2 ** 18
#: Pixels beside the inner edges of a tile that are worth nothing, where no receptive field is declared, and the width
#: of the blend between tiles: where tiles are exact, nothing is to be blended but rounding.
_OVERLAP, _RAMP, _EXACT_RAMP = 32, 32, 8
_NO_NUMBERS = 'gives values that are not numbers; its weights may be damaged, or overflow in this precision'


class NotANumberError(UserError, ArithmeticError):
    """A network gave NaN, which would become black pixels."""


class RestorationPipeline:
    """Restore images of any size and depth.

    It can be pickled, and called from several threads at once.

    Args:
        checkpoint (str | Path): See :func:`load_network`.
        config (str | Path, optional): See :func:`load_network`.
        device (str, optional): Default: CUDA if there is one, else the CPU.
        tile (str | int): ``'auto'``: tiles when the memory that is free asks for it; ``'off'``: never; or their size in
            pixels.
        precision (str): ``'auto'`` (float32), ``'fp32'``, ``'bf16'`` or ``'fp16'``.
        backend (str): ``'torch'``; or ``'onnxruntime'`` or ``'openvino'``, which run what ``restorekit export`` wrote,
            without torch. Default: by the file.
        strength (float): In [0, 1]; 0 returns the input, 1 the network's result.
        protect_highlights (bool | None): Keep clipped skies and lamps as they are and, in 8-bit images that a network
            of coefficients restores without a mask, flat skies smooth; None: what the file recommends.

    Example::

        import restorekit
        model = restorekit.RestorationPipeline('latest.pth')
        clear = model('hazy.jpg')                     # uint8 (H, W, 3) RGB; uint16 for a file of 16 bits
        model.restore_file('hazy.tif', 'clear.tif')   # keeps depth, profile, EXIF
    """

    def __init__(self, checkpoint: str | os.PathLike, config: str | os.PathLike | None = None,
                 device: str | None = None, *, tile: str | int = 'auto', precision: str = 'auto',
                 backend: str | None = None, strength: float = 1.0, protect_highlights: bool | None = False):
        self.checkpoint = str(checkpoint)
        self.tile = check_tile(tile)
        self.strength = check_strength(strength)
        self.backend: TorchBackend | OnnxBackend = make_backend(checkpoint, config, device, precision, backend)
        self.protect_highlights = self.backend.protect_highlights if protect_highlights is None else protect_highlights

    def __repr__(self) -> str:
        backend = self.backend
        facts = getattr(backend, 'facts', {})  # of what was exported
        autocast = str(getattr(backend, 'autocast', None))
        precision = facts.get('precision') or {'torch.bfloat16': 'bf16', 'torch.float16': 'fp16'}.get(autocast, 'fp32')
        return (f'{type(self).__name__}({os.path.basename(self.checkpoint)!r}: {backend.model_name}, '
                f'{getattr(backend, "runtime", "torch")}, {backend.device}, {precision})')

    @property
    def device(self) -> torch.device | str:
        """Where the network runs."""
        return self.backend.device

    @overload
    def __call__(self, image: str | os.PathLike, output: str | os.PathLike | None = None,
                 **options: Unpack[RestoreOptions]) -> np.ndarray: ...

    @overload
    def __call__(self, image: _Object, output: str | os.PathLike | None = None,
                 **options: Unpack[RestoreOptions]) -> _Object: ...

    @overload
    def __call__(self, image: Sequence, output: None = None, **options: Unpack[RestoreOptions]) -> list: ...

    def __call__(self, image: object, output: str | os.PathLike | None = None, *, strength: float | None = None,
                 mask: np.ndarray | None = None) -> object:
        """Restore an image, or a list of them.

        Args:
            image: A file; a PIL image; an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16 or floats in
                [0, 1], RGB; a tensor (3, H, W) or (N, 3, H, W) of the same types; or a list of any of these.
            output (str | Path, optional): File the result is written to as well, with the metadata of the input file.
            strength (float, optional): Instead of the pipeline's.
            mask (ndarray, optional): (H, W), uint8 or floats in [0, 1]: restored where it is white.

        Returns:
            What was given, restored: of a file an array (H, W, 3), otherwise the same type, shape and dtype.

        Raises:
            InputError: If it is none of these.
            ImageFileError: If a file cannot be read.
            ImageMemoryError: If it needs more memory than is free.
        """
        options = RestoreOptions(strength=strength, mask=mask)
        if isinstance(image, (list, tuple)):
            if output is not None:
                raise InputError('output names one file, but got a list of images; call restore_folder instead')
            return [self(item, **options) for item in image]
        if isinstance(image, (str, os.PathLike)):
            photo = self.restore_photo(read_photo(image), name=str(image), **options)
            if output is not None:
                write_photo(output, photo)
            return photo.pixels
        restored = restore_object(self, image, options)
        if output is not None:
            write_photo(output, as_photo(restored))
        return restored

    def restore(self, image: np.ndarray) -> np.ndarray:
        """Restore one array, as :meth:`__call__` does."""
        return self(image)

    def restore_file(self, source: str | os.PathLike, target: str | os.PathLike, *, quality: int = 95,
                     max_pixels: int | None = None, **options: Unpack[RestoreOptions]) -> Photo:
        """Restore an image file to a file; depth, alpha, pages and metadata are kept as far as the format holds them.

        Args:
            source, target (str | Path): Files; the suffix of ``target`` chooses the format.
            quality (int): Of lossy formats, 0 to 100.
            max_pixels (int, optional): See :func:`~restorekit.files.photo.read_photo`.
            **options: ``strength`` and ``mask``, see :meth:`__call__`.

        Returns:
            Photo: What was written.
        """
        photo = self.restore_photo(read_photo(source, max_pixels), name=str(source), **options)
        write_photo(target, photo, quality)
        return photo

    def restore_folder(self, folder: str | os.PathLike, out: str | os.PathLike,
                       **options: Unpack[FileOptions]) -> RestoreReport:
        """Restore the images below a folder; see :func:`restorekit.inference.batch.restore_files`."""
        from .batch import plan, restore_files
        jobs, left_out = plan([folder], out)
        return restore_files(self, jobs, left_out=left_out, **options)

    def restore_photo(self, photo: Photo, name: str = 'the image', restore: Callable[..., np.ndarray] | None = None,
                      **options: Unpack[RestoreOptions]) -> Photo:
        """Restore every page of a photo; returns a new one with the same metadata.

        ``restore`` is called in place of :meth:`restore_pixels`, where given.
        """
        restore = restore or self.restore_pixels
        pages = []
        for page in photo.pages:
            pixels = page.pixels if page.alpha is None else fill_transparent(page.pixels, page.alpha)
            restored = restore(pixels, name=name, **options)
            if page.alpha is not None:  # what nobody sees stays as it was
                restored[page.alpha == 0] = page.pixels[page.alpha == 0]
            pages.append(Page(restored, page.alpha, page.duration))
        return Photo(pages, photo.kind, photo.grey, photo.metadata, photo.loop)

    def restore_pixels(self, pixels: np.ndarray, *, name: str = 'the image', strength: float | None = None,
                       mask: np.ndarray | None = None, held: Sequence[np.ndarray] | None = None) -> np.ndarray:
        """Restore (H, W, 3) RGB of uint8, uint16 or float32 to the same shape and dtype, computed in float32.

        Args:
            pixels (ndarray): Floats in [0, 1], or in 0 to 255 or 0 to 65535 (see
                :func:`~restorekit.files.image_io.unit_scale`).
            name (str): What errors call it.
            strength, mask: See :meth:`__call__`.
            held (Sequence, optional): What :meth:`look` returned, of this image or of others like it.

        Raises:
            ImageMemoryError: If it needs more memory than is free; the message says how much, and what to do.
            NotANumberError: If the network gives NaN.
        """
        strength = self.strength if strength is None else check_strength(strength)
        scale = unit_scale(pixels, name)
        if strength == 0:
            unchanged: np.ndarray = pixels.copy()
            return unchanged
        mask = None if mask is None else check_mask(mask)
        guard = HighlightGuard(pixels if scale in (1, 255, 65535) and pixels.dtype.kind == 'u'
                               else pixels / np.float32(scale)) if self.protect_highlights else None
        result: np.ndarray = np.empty_like(pixels)
        height, width = pixels.shape[:2]

        def emit(start: int, restored: np.ndarray) -> None:
            stop = start + len(restored)
            weight: float | np.ndarray = strength
            if mask is not None:
                weight = weight * enlarge_rows(mask, height, width, start, stop)[..., None]
            if guard is not None:
                weight = weight * guard.weight(start, stop)
            if not (isinstance(weight, float) and weight == 1):
                restored = blend(_to_unit(pixels[start:stop], scale), restored, weight,
                                 linear=self.backend.linear)
            if np.isnan(np.sum(restored)) and np.isnan(restored).any():
                raise NotANumberError(f'{name}: {self.checkpoint} {_NO_NUMBERS}')
            restored = np.clip(restored, 0, 1)
            restored = restored * np.float32(scale) if scale != 1 else restored
            result[start:stop] = np.rint(restored) if pixels.dtype.kind == 'u' else restored

        try:
            if self.backend.tiling == 'coefficients':
                held = self._coefficients(pixels, scale) if held is None else held
                restored = self.backend.apply_bytes(pixels, held, strength) \
                    if pixels.dtype == np.uint8 and mask is None else None
                if restored is not None:
                    if guard is not None:
                        smooth_flat_areas(pixels, guard.keep(pixels, restored))
                    return restored
                self._restore_strips(pixels, scale, emit, held)
            else:
                self._restore_tiled(pixels, scale, emit, name, held)
        except ImageMemoryError:
            raise
        except (MemoryError, RuntimeError, SystemError) as error:
            if not is_out_of_memory(error):
                raise
            raise ImageMemoryError(
                f'{name} ({width}x{height}) does not fit into the memory of {self.device} '
                f'({megabytes(self.backend.free())} are free), even in small parts; close other programs, or '
                'restore a smaller copy') from error
        return result

    def info(self) -> dict:
        """Return what the model is: its file, network, parameters, device, tiling and sizes."""
        return dict(checkpoint=self.checkpoint, **self.backend.info(), tiling=self.backend.tiling,
                    size_divisor=self.backend.size_divisor, min_size=self.backend.min_size,
                    receptive_field=self.backend.receptive_field)

    def look(self, pixels: np.ndarray) -> Sequence[np.ndarray] | None:
        """Return what the network takes of the whole image: its coefficients, or its global averages.

        None for networks that look no further than their receptive field, or that cannot be asked.
        """
        scale = unit_scale(pixels)
        if self.backend.tiling == 'coefficients':
            return self._coefficients(pixels, scale)
        if self.backend.tiling == 'approximate':
            return self._torch.statistics(self._small_copy(pixels, scale, _LOOK_PIXELS)) or None
        return None

    @property
    def _torch(self) -> TorchBackend:
        """The backend of a network whose averages are held: what is exported has none."""
        return cast('TorchBackend', self.backend)

    def _coefficients(self, pixels: np.ndarray, scale: float) -> Sequence[np.ndarray]:
        look = self.backend.look
        if look and pixels.shape[0] > look[0] and pixels.shape[1] > look[1]:
            found = self.backend.coefficients(shrink(pixels, *look) / np.float32(scale))
        else:
            found = self.backend.coefficients(_to_unit(pixels, scale))
        if any(np.isnan(coefficient.sum()) for coefficient in found):
            raise NotANumberError(f'{self.checkpoint} {_NO_NUMBERS}')
        return found

    def _restore_strips(self, pixels: np.ndarray, scale: float, emit: _Emit, held: Sequence[np.ndarray]) -> None:
        height, width = pixels.shape[:2]
        rows = max(1, _STRIP_PIXELS // width)
        for start in range(0, height, rows):
            emit(start, self.backend.apply(_to_unit(pixels[start:start + rows], scale), held, start, height))

    def _restore_tiled(self, pixels: np.ndarray, scale: float, emit: _Emit, name: str,
                       held: Sequence[np.ndarray] | None) -> None:
        for tile in self.tiles(pixels.shape[0], pixels.shape[1], name):
            try:
                return self._restore_with(pixels, scale, emit, tile, held)
            except (MemoryError, RuntimeError, SystemError) as error:
                if not is_out_of_memory(error) or self.backend.tiling == 'never' or isinstance(error, ImageMemoryError):
                    raise
                last = error
                self.backend.release()
        raise last

    def _restore_with(self, pixels: np.ndarray, scale: float, emit: _Emit, tile: int | None,
                      held: Sequence[np.ndarray] | None) -> None:
        backend = self.backend
        rows, columns = (self._plan_axis(size, tile) for size in pixels.shape[:2])
        infer: Callable[[np.ndarray], np.ndarray] = backend
        if backend.tiling == 'approximate':
            if held is None and len(rows.starts) * len(columns.starts) > 1:
                held = self._torch.statistics(self._small_copy(pixels, scale, rows.tile * columns.tile))
            if held:
                infer = self._torch.with_statistics(held)

        def take(at_rows: np.ndarray, at_columns: np.ndarray) -> np.ndarray:
            return _to_unit(_part(pixels, at_rows, at_columns), scale)
        for start, restored in restore_tiles(take, infer, rows, columns):
            emit(start, restored)

    def _small_copy(self, pixels: np.ndarray, scale: float, area: int) -> np.ndarray:
        """A copy of the whole image with about ``area`` pixels, padded for the network."""
        height, width = pixels.shape[:2]
        ratio = min(1, math.sqrt(area / (height * width)))
        small = shrink(pixels, max(1, int(height * ratio)), max(1, int(width * ratio))) / np.float32(scale)
        rows, columns = (self._plan_axis(size, None) for size in small.shape[:2])
        return _part(small, rows.index, columns.index)

    def tiles(self, height: int, width: int, name: str = 'the image') -> Sequence[int | None]:
        """Return the tile sizes to try for an image, best first; None: the whole image at once.

        Raises:
            ImageMemoryError: If it needs more memory than is free, and cannot be tiled or not small enough.
        """
        backend = self.backend
        padded = self._tile_size(None, (height, width))
        if isinstance(self.tile, int):
            if backend.tiling == 'never':
                raise InputError(f'{backend.model_name} cannot be tiled: each of its pixels depends on the '
                                 'whole image; leave out --tile, or give a smaller image')
            return [self.tile, *[tile for tile in _TILES if tile < self.tile]]
        need, free = backend.memory(*padded), backend.free()
        smaller = [] if self.tile == 'off' or backend.tiling == 'never' else \
            [tile for tile in _TILES if tile < max(padded)]
        fits = need <= 0.8 * free
        if not smaller:
            if not fits:
                advice = 'this network cannot be tiled; give a smaller image, or a machine with more memory' \
                    if backend.tiling == 'never' else 'leave out --tile off, so that it is restored in tiles'
                raise ImageMemoryError(f'{name} ({width}x{height}) needs about {megabytes(need)} of memory for one '
                                       f'pass of {backend.model_name}, but {megabytes(free)} are free; '
                                       f'{advice}')
            return [None]
        if fits and (height * width <= WHOLE_PIXELS or need <= TILE_MEMORY):
            return [None, *smaller]
        budget = min(0.5 * free, TILE_MEMORY)
        fitting = [tile for tile in smaller if backend.memory(*self._tile_size(tile, padded)) <= budget]
        if not fitting:
            least = backend.memory(*self._tile_size(smaller[-1], padded))
            raise ImageMemoryError(f'{name} ({width}x{height}) needs about {megabytes(least)} of memory for its '
                                   f'smallest tile, but {megabytes(free)} are free; close other programs')
        return fitting

    def _tile_size(self, tile: int | None, padded: tuple[int, int]) -> tuple[int, int]:
        return self._plan_axis(padded[0], tile).tile, self._plan_axis(padded[1], tile).tile

    def _plan_axis(self, size: int, tile: int | None) -> Axis:
        backend = self.backend
        overlap = math.ceil((backend.receptive_field - 1) / 2) if backend.receptive_field else _OVERLAP
        ramp = _EXACT_RAMP if backend.tiling == 'exact' else _RAMP
        return plan_axis(size, tile, overlap, ramp, backend.size_divisor, backend.min_size, backend.pads_after)


def _to_unit(pixels: np.ndarray, scale: float) -> np.ndarray:
    return pixels.astype(np.float32) if scale == 1 else pixels.astype(np.float32) / np.float32(scale)


def _part(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Rows and columns of an image; runs without padding are views."""
    def key(index: np.ndarray) -> slice | np.ndarray:
        run = len(index) and index[-1] - index[0] == len(index) - 1 and (np.diff(index) == 1).all()
        return slice(index[0], index[-1] + 1) if run else index
    part: np.ndarray = pixels[key(rows)][:, key(columns)]
    return part

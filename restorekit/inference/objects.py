"""What a pipeline may be given other than files: arrays, tensors and PIL images."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import numpy as np

from restorekit.files.photo import Page, Photo, to_grey
from restorekit.messages import InputError, InputTypeError

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from .arguments import RestoreOptions
    from .pipeline import RestorationPipeline

_ALLOWED = ('an image is a file, a PIL image, an array (H, W), (H, W, 3) or (H, W, 4) of uint8, uint16 or floats in '
            '[0, 1] in RGB, or a tensor (3, H, W) or (N, 3, H, W) of these')


def restore_object(pipeline: RestorationPipeline, image: object, options: RestoreOptions
                   ) -> np.ndarray | torch.Tensor | Image.Image:
    """Restore an array, tensor or PIL image with a pipeline; returns the same type, shape and dtype.

    Raises:
        InputTypeError: If it is none of these.
    """
    imported = sys.modules.get('torch')  # whoever has a tensor has imported it
    if imported and isinstance(image, imported.Tensor):
        return _restore_tensor(pipeline, image, options)
    return _restore_array(pipeline, image, options) if isinstance(image, np.ndarray) else \
        _restore_pil(pipeline, image, options)


def _restore_tensor(pipeline: RestorationPipeline, image: torch.Tensor, options: RestoreOptions) -> torch.Tensor:
    import torch
    if image.dim() == 4:
        return torch.stack([_restore_tensor(pipeline, one, options) for one in image]) if len(image) else image
    if image.dim() != 3 or image.shape[0] != 3:
        raise InputTypeError(f'{_ALLOWED}, but got a tensor {image.dtype} {tuple(image.shape)}')
    plain = image.detach().cpu()
    array = (plain.float() if plain.is_floating_point() else plain).permute(1, 2, 0).numpy()
    restored = _restore_array(pipeline, np.ascontiguousarray(array), options)
    return torch.from_numpy(restored).permute(2, 0, 1).contiguous().to(image.device, image.dtype)


def _restore_array(pipeline: RestorationPipeline, image: np.ndarray, options: RestoreOptions) -> np.ndarray:
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if channels not in (1, 3, 4) or image.size == 0 or not (image.dtype in (np.uint8, np.uint16)
                                                            or image.dtype.kind == 'f'):
        raise InputTypeError(f'{_ALLOWED}, but got {image.dtype} {image.shape}')
    array = image.astype(np.float32) if image.dtype.kind == 'f' else image
    if channels == 4:
        photo = Photo([Page(np.ascontiguousarray(array[..., :3]), array[..., 3])], 'PNG')
        return np.dstack([pipeline.restore_photo(photo, **options).pixels, array[..., 3]]).astype(image.dtype)
    rgb = array if channels == 3 else np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    restored = pipeline.restore_pixels(np.ascontiguousarray(rgb), **options)
    return (restored if channels == 3 else to_grey(restored).reshape(image.shape)).astype(image.dtype, copy=False)


def _restore_pil(pipeline: RestorationPipeline, image: object, options: RestoreOptions) -> Image.Image:
    from PIL import Image
    if not isinstance(image, Image.Image):
        raise InputTypeError(f'{_ALLOWED}, but got {type(image).__name__}')
    if image.mode[0] in 'IF':  # 16 bits, whole numbers or floats: of a conversion only 255 would be left
        restored = Image.fromarray(_restore_deep(pipeline, np.array(image), options))
    else:
        grey, alpha = image.mode in ('1', 'L', 'LA'), image.has_transparency_data
        array = np.array(image.convert('RGBA' if alpha else 'L' if grey else 'RGB'))
        restored = Image.fromarray(_restore_array(pipeline, array, options))
        restored = restored.convert('LA') if grey and alpha else restored
    restored.info.update({key: value for key, value in image.info.items() if key != 'transparency'})
    return restored


def _restore_deep(pipeline: RestorationPipeline, array: np.ndarray, options: RestoreOptions) -> np.ndarray:
    """Restore the grey (H, W) of a PIL image of mode F or I."""
    if array.dtype.kind == 'i' and (array.min() < 0 or array.max() > 65535):
        raise InputError(f'a PIL image of whole numbers is restored as 16 bits, 0 to 65535, but got {array.min()} to '
                         f'{array.max()}')
    known = array if array.dtype.kind == 'f' else array.astype(np.uint16)
    return _restore_array(pipeline, known, options).astype(array.dtype.newbyteorder('='))


def as_photo(restored: np.ndarray | torch.Tensor | Image.Image) -> Photo:
    """Return what :func:`restore_object` returned as a photo that can be written.

    Raises:
        InputError: If it is a batch.
    """
    if isinstance(restored, np.ndarray):
        image = restored
    elif hasattr(restored, 'is_floating_point'):
        tensor = cast('torch.Tensor', restored).cpu()
        if tensor.dim() != 3:
            raise InputError('output names one file, but got a batch of images; write them one by one')
        image = (tensor.float() if tensor.is_floating_point() else tensor).permute(1, 2, 0).numpy()
    else:
        image = np.array(restored)
    if image.dtype == np.float64 or image.dtype == np.float16:
        image = image.astype(np.float32)
    grey = image.ndim == 2 or image.shape[2] == 1
    rgb = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2) if grey else np.ascontiguousarray(image[..., :3])
    return Photo([Page(rgb, image[..., 3] if image.ndim == 3 and image.shape[2] == 4 else None)], 'PNG', grey)

"""Where depth comes from: files, converted in one place, and a proxy for photos without any."""

import inspect
import io
import math
import pathlib

import numpy as np
import torch

from restorekit.files.image_io import ImageFileError, check_pixels, decode_stored, read_bytes
from restorekit.functional.colour import luminance
from restorekit.functional.filters import guided_filter
from restorekit.messages import InputError, InputTypeError, MissingFileError, did_you_mean

from .draw import Draw, check_choice, check_range, fractal_noise

MAX_DEPTH = 1e20  # times the thickest haze it stays finite in 32 bits
_NEAR = 0.1
DEPTH_SUFFIXES = ('.png', '.tif', '.tiff', '.npy')


class ProxyDepth:
    """Invent a plausible depth for photos without one.

    ``d = (1 - m) ground + m noise``: a ground plane ``c / (y - horizon + c)`` below a tilted horizon and 1 above it,
    mixed with fractal noise in [0.2, 1], scaled so that the farthest point is at 1, then aligned with the photo's
    edges by a guided filter on its luminance. For a share of
    the samples m = 1, depth unrelated to the scene, which helps on real haze (DA-HAZE, arXiv 2401.07213, 2024).

    Args:
        horizon (float or pair): Height of the horizon from the top, fraction of H.
        camera_height (float or pair): c, fraction of H, 0.001 to 10; the depth at the bottom is about c.
        tilt (float or pair): Slope of the horizon in degrees.
        noise (float or pair): Share m of the noise, in [0, 1].
        noise_only (float): Probability of m = 1.

    Example:
        >>> ProxyDepth()(torch.rand(2, 3, 32, 48), seeds=[0, 1]).shape
        torch.Size([2, 1, 32, 48])
    """

    def __init__(self, horizon=(0.15, 0.5), camera_height=(0.06, 0.25), tilt=(-8., 8.), noise=(0.05, 0.45),
                 noise_only=0.25):
        self.horizon = check_range('horizon', horizon, 0, 1)
        self.camera_height = check_range('camera_height', camera_height, 1e-3, 10)
        self.tilt = check_range('tilt', tilt, -45, 45)
        self.noise = check_range('noise', noise, 0, 1)
        self.noise_only = check_range('noise_only', noise_only, 0, 1)[0]

    def __call__(self, image, seeds):
        """Return a depth (N,1,H,W) in [0, 1] for images (N,3,H,W); the same seed and image give the same depth."""
        draw = Draw(seeds.tolist() if torch.is_tensor(seeds) else seeds)
        height, width = image.shape[-2:]
        subsample = max(1, round(min(height, width) / 64))
        small_height, small_width = max(1, round(height / subsample)), max(1, round(width / subsample))
        horizon, camera = draw.uniform('horizon', *self.horizon), draw.uniform('camera', *self.camera_height)
        slope = torch.tan(draw.uniform('tilt', *self.tilt).double() * (math.pi / 180)).float() * (width / height)
        share = draw.uniform('noise', *self.noise)
        share = torch.where(draw.uniform('noise_only') < self.noise_only, torch.ones_like(share), share)

        y = ((torch.arange(small_height) + 0.5) / small_height)[None, :, None]
        x = ((torch.arange(small_width) + 0.5) / small_width - 0.5)[None, None, :]
        horizon, camera, slope = (value[:, None, None] for value in (horizon, camera, slope))
        below = (y - (horizon + slope * x)).clamp(min=0)
        ground = (camera / (below + camera))[:, None]
        noise = 0.2 + 0.8 * fractal_noise(draw.seed('field'), small_height, small_width, period=0.5)
        share = share[:, None, None, None]
        depth = ground * (1 - share) + noise * share
        depth = (depth / depth.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)).to(image)
        radius = max(1, round(min(height, width) / 16))
        return guided_filter(luminance(image), depth, radius, 1e-3, subsample).clamp(0, 1)


def convert_depth(values, kind='depth', scale=1., inverted=False, log_base=None, near=_NEAR, name='depth'):
    """Convert a stored map to depth: 0 at the camera, larger is farther.

    In this order: ``inverted`` (``1 - v``), ``log_base`` (``log_base ** v``), then

    - ``kind='depth'``: ``scale * v``;
    - ``kind='disparity'``: relative inverse depth as estimators give it, normalised to p in [0, 1] over the image:
      ``scale * near / (p (1 - near) + near)``, from ``scale * near`` (nearest) to ``scale`` (farthest).

    Args:
        values (ndarray): (H,W) as stored.
        kind (str): ``'depth'`` or ``'disparity'``.
        scale (float): Factor, > 0, at most 1e12.
        inverted (bool): Whether the nearest point is stored as 1 and the farthest as 0.
        log_base (float, optional): Base, > 1, of exponentially coded maps.
        near (float): Nearest depth relative to the farthest, for ``'disparity'``, in (0, 1].
        name (str): What errors call the map.

    Returns:
        ndarray: (H,W) float32.

    Raises:
        ValueError: If the map is empty, not (H,W), not finite, or negative.

    Example:
        >>> convert_depth(np.array([[0., 1.]]), kind='disparity', near=0.5).tolist()
        [[1.0, 0.5]]
    """
    check_choice('kind', kind, ('depth', 'disparity'))
    scale = check_range('scale', scale, 1e-12, 1e12)[0]
    near = check_range('near', near, 1e-6, 1)[0]
    if kind == 'depth' and near != _NEAR:
        raise InputError(f"near is for kind='disparity' and has no effect with kind='depth', but got near={near}; drop "
                         f"near (its default is {_NEAR}), or give kind='disparity'")
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values.reshape(values.shape[0], values.shape[1]) if values.shape[2] == 1 else values[0]
    if values.ndim != 2 or values.size == 0:
        raise InputError(f'{name}: a depth map must have shape (H,W) and not be empty, but got {values.shape}')
    if not np.isfinite(values).all():
        raise InputError(f'{name}: {int((~np.isfinite(values)).sum())} of {values.size} values are NaN or infinite; '
                         'fill the holes first')
    if values.min() < 0:
        raise InputError(f'{name}: values must be >= 0, the lowest is {values.min():.4g}')
    if inverted:
        if values.max() > 1:
            raise InputError(f'{name}: inverted=True needs values in [0, 1], the highest is {values.max():.4g}')
        values = 1 - values
    if log_base is not None:
        with np.errstate(over='ignore'):
            values = check_range('log_base', log_base, 1 + 1e-9, 1e12)[0] ** values
    if kind == 'disparity':
        low, high = values.min(), values.max()
        share = (values - low) / (high - low) if high > low else np.zeros_like(values)
        values = near / (share * (1 - near) + near)
    values = values * scale
    if values.max() > MAX_DEPTH:
        raise InputError(f'{name}: the greatest depth is {values.max():.4g}, more than {MAX_DEPTH:g}; check scale and '
                         'log_base, or limit the depth of the sky')
    return values.astype(np.float32)


def read_depth(path, kind='depth', scale=1., inverted=False, log_base=None, near=_NEAR, backend_args=None):
    """Read a depth map from a file and convert it (see :func:`convert_depth`).

    Args:
        path (str or Path): ``.png`` or ``.tif`` of 8 or 16 bits (one channel, or three equal ones), whose values are
            first divided by 255 or 65535; ``.tif`` of floats or ``.npy`` (any number type, (H,W)), taken as it is.
        kind, scale, inverted, log_base, near: See :func:`convert_depth`.
        backend_args (dict, optional): Where to read from, as mmengine.fileio takes it; default: the disk.

    Returns:
        ndarray: (H,W) float32, 0 at the camera, larger is farther.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of another type, damaged, larger than
            :func:`~restorekit.files.image_io.max_pixels`, or its values are not a depth.

    Example:
        >>> read_depth('depth.png', kind='disparity')  # doctest: +SKIP
    """
    values = read_stored_depth(path, backend_args)
    if values.dtype.kind == 'u' and pathlib.PurePosixPath(path).suffix.lower() != '.npy':
        values = values / np.float64(np.iinfo(values.dtype).max)
    return convert_depth(values, kind, scale, inverted, log_base, near, name=f'depth map {path}')


def check_depth_options(options, name):
    """Raise unless ``options`` are keyword arguments that :func:`convert_depth` takes, before a file is read.

    Example:
        >>> check_depth_options(dict(kind='disparity', near=0.2), 'depth')
    """
    known = [key for key in inspect.signature(convert_depth).parameters if key not in ('values', 'name')]
    for key in options:
        if key not in known:
            raise InputError(f'{name} has no {key!r}; ' + did_you_mean(key, known, f'it takes {", ".join(known)}'))
    try:
        convert_depth(np.zeros((1, 1)), **options)
    except (InputError, InputTypeError) as error:
        raise InputError(f'{name}: {error}') from error


def read_stored_depth(path, backend_args=None):
    """Read a depth map without a change of its values: (H,W), of an npy any shape; see :func:`read_depth`."""
    if backend_args is None and not pathlib.Path(path).is_file():
        raise MissingFileError(f'depth map {path} does not exist')
    suffix = pathlib.PurePosixPath(path).suffix.lower()
    if suffix not in DEPTH_SUFFIXES:
        raise InputError(f'depth map {path} must be a {", ".join(DEPTH_SUFFIXES[:-1])} or {DEPTH_SUFFIXES[-1]} file')
    data = read_bytes(path, backend_args)
    if suffix == '.npy':
        return _npy(data, f'depth map {path}')
    values = decode_stored(data, f'depth map {path}')
    if values.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise InputError(f'depth map {path} must hold 8 or 16 bits or floats, but got {values.dtype}')
    if values.ndim == 3:
        if not (values[..., :1] == values[..., :3]).all():
            raise InputError(f'depth map {path} is a colour image; a depth map has one channel')
        values = values[..., 0]
    return values


def _npy(data, name):
    """The array in the content of an npy file; nothing is taken for what its header promises but does not hold."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, in_columns, dtype = read(stream)
    except Exception as error:  # a damaged header raises whatever numpy's and Python's parsers do
        raise ImageFileError(f'{name} cannot be read: it is not an npy file, or is damaged ({error})') from error
    if dtype.kind not in 'fiu':
        raise InputError(f'{name} must hold numbers, but got {dtype}')
    count, start = math.prod(shape), stream.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize > len(data) - start:
        raise ImageFileError(f'{name} is truncated: its header promises {shape} values of {dtype}, but '
                             f'{len(data) - start} bytes follow; copy or download it again')
    if len(shape) > 1:
        check_pixels(math.prod(shape[:-1]), shape[-1], name)
    return np.frombuffer(data, dtype, count, start).reshape(shape, order='F' if in_columns else 'C')

"""What a camera's file chain does: blur, resampling, JPEG."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from restorekit.functional.filters import gaussian_blur
from restorekit.messages import InputError
from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import check_choice, check_range

_SUBSAMPLING = {'4:2:0': cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, '4:4:4': cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444}


def jpeg_round_trip(image, quality, subsampling='4:2:0'):
    """Encode and decode one image as JPEG (ITU-T T.81, libjpeg's tables).

    Args:
        image (ndarray): (3,H,W) uint8 RGB.
        quality (int): 1 to 100.
        subsampling (str): ``'4:2:0'`` or ``'4:4:4'``.

    Returns:
        ndarray: (3,H,W) uint8 RGB.

    Example:
        >>> jpeg_round_trip(np.full((3, 8, 8), 128, np.uint8), 90).shape
        (3, 8, 8)
    """
    flags = [cv2.IMWRITE_JPEG_QUALITY, int(quality), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SUBSAMPLING[subsampling]]
    _, data = cv2.imencode('.jpg', cv2.merge(list(image[::-1])), flags)
    return np.stack(cv2.split(cv2.imdecode(data, cv2.IMREAD_COLOR))[::-1])


@DEGRADATIONS.register_module()
class JPEG(Degradation):
    """JPEG compression, by OpenCV on the CPU whatever the device (ITU-T T.81, 1992).

    Args:
        quality (int or pair): 1 to 100.
        subsampling (str or sequence of str): Chroma layout, ``'4:2:0'`` or ``'4:4:4'``; of several, one is drawn for
            each sample with equal chances.

    Raises:
        ValueError: If the quality is out of range or the layout unknown.

    Parameters drawn: ``quality``, ``subsampling`` (index into 4:2:0, 4:4:4), (N,).

    Example:
        >>> coded, params = JPEG(quality=(30, 95))(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    headline = 'quality'

    def __init__(self, quality=(30, 95), subsampling=('4:2:0', '4:4:4')):
        super().__init__()
        self.quality = tuple(int(end) for end in check_range('quality', quality, 1, 100))
        subsampling = [subsampling] if isinstance(subsampling, str) else list(subsampling)
        layouts = list(_SUBSAMPLING)
        if not subsampling:
            raise InputError(f'subsampling must name at least one of {", ".join(layouts)}')
        self.subsampling = [layouts.index(check_choice('subsampling', item, layouts)) for item in subsampling]

    def draw(self, draw, height, width):
        layout = draw.integers('subsampling', 0, len(self.subsampling) - 1)
        return {'quality': draw.integers('quality', *self.quality),
                'subsampling': torch.tensor(self.subsampling)[layout]}

    def degrade(self, image, depth, params):
        pixels = (image.detach() * 255).round_().to(torch.uint8).cpu().contiguous().numpy()
        coded = np.empty_like(pixels)
        layouts = list(_SUBSAMPLING)
        for k, (quality, layout) in enumerate(zip(params['quality'].tolist(), params['subsampling'].tolist(),
                                                  strict=True)):
            coded[k] = jpeg_round_trip(pixels[k], quality, layouts[layout])
        return torch.from_numpy(coded).to(image.device).to(image.dtype).div_(255)


@DEGRADATIONS.register_module()
class Blur(Degradation):
    """Out-of-focus softness: an isotropic Gaussian, ``I = G_sigma * J``.

    Args:
        sigma (float or pair): Standard deviation in pixels, 0 to 20.

    Parameters drawn: ``sigma`` (N,).

    Example:
        >>> soft, params = Blur(sigma=(0.2, 2.))(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    headline = 'sigma'

    def __init__(self, sigma=(0.2, 2.)):
        super().__init__()
        self.sigma = check_range('sigma', sigma, 0, 20)

    def draw(self, draw, height, width):
        return {'sigma': draw.uniform('sigma', *self.sigma)}

    def degrade(self, image, depth, params):
        return gaussian_blur(image, params['sigma'])


@DEGRADATIONS.register_module()
class Resize(Degradation):
    """Lost resolution: shrink, then enlarge to the size before.

    Args:
        factor (float or pair): Size of the small image relative to the large one, in (0, 1]; 1 changes nothing.
        modes (sequence of str): Interpolations to draw from: ``'area'``, ``'bilinear'``, ``'bicubic'``. Each shrinks
            (with antialiasing); enlarging is bicubic.

    Parameters drawn: ``factor``, ``mode`` (index into area, bilinear, bicubic), (N,).

    Example:
        >>> soft, params = Resize(factor=(0.5, 1.))(torch.rand(1, 3, 16, 16), seeds=[0])
    """

    _MODES = ('area', 'bilinear', 'bicubic')

    headline = 'factor'

    def __init__(self, factor=(0.5, 1.), modes=('area', 'bilinear', 'bicubic')):
        super().__init__()
        self.factor = check_range('factor', factor, 0.01, 1)
        modes = [modes] if isinstance(modes, str) else list(modes)
        if not modes:
            raise InputError(f'modes must name at least one of {", ".join(self._MODES)}')
        self.modes = [self._MODES.index(check_choice('modes', mode, self._MODES)) for mode in modes]

    def draw(self, draw, height, width):
        mode = draw.integers('mode', 0, len(self.modes) - 1)
        return {'factor': draw.uniform('factor', *self.factor), 'mode': torch.tensor(self.modes)[mode]}

    def degrade(self, image, depth, params):
        height, width = image.shape[-2:]
        resized = []
        for row, factor, mode in zip(image, params['factor'].tolist(), params['mode'].tolist(), strict=True):
            size = (max(1, round(height * factor)), max(1, round(width * factor)))
            if size == (height, width):
                resized.append(row)
                continue
            mode = self._MODES[mode]
            options = {} if mode == 'area' else {'align_corners': False, 'antialias': True}
            small = F.interpolate(row[None], size, mode=mode, **options)
            resized.append(F.interpolate(small, (height, width), mode='bicubic', align_corners=False)[0])
        return torch.stack(resized)

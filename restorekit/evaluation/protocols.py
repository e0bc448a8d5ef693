"""Named protocols: every choice that decides what a PSNR or SSIM number means."""

from dataclasses import dataclass

import torch

from restorekit.functional.image_quality import check_ssim_options
from restorekit.registry import unknown_name_message

COLOURS = ('rgb', 'y-bt601')


@dataclass(frozen=True)
class Protocol:
    """How a prediction and its ground truth are made comparable, and the window SSIM looks through.

    Args:
        name (str): Shown in the key of every number, as in ``PSNR@rgb``.
        colour (str): 'rgb', or 'y-bt601': luma of ITU-R BT.601 in limited range, as MATLAB's ``rgb2ycbcr``:
            Y = (65.481 R + 128.553 G + 24.966 B + 16) / 255 for R, G, B in [0, 1].
        crop_border (int): Pixels cut from each side first.
        quantize (bool): Round the prediction to 8 bits per channel first. Luma is then rounded to 8 bits too, as
            MATLAB does for uint8 images.
        ssim_window (int): Side of SSIM's Gaussian window in pixels, odd.
        ssim_sigma (float): Standard deviation of that window in pixels.
        ssim_padding (str): 'valid' or 'zero'.

    Raises:
        ValueError: If a choice is not among the allowed.

    Example:
        >>> pred, gt = get_protocol('rgb-uint8').prepare(torch.full((3, 2, 2), 0.501), torch.zeros(3, 2, 2))
        >>> round(pred[0, 0, 0, 0].item() * 255)
        128
    """

    name: str
    colour: str = 'rgb'
    crop_border: int = 0
    quantize: bool = False
    ssim_window: int = 11
    ssim_sigma: float = 1.5
    ssim_padding: str = 'valid'

    def __post_init__(self):
        if self.colour not in COLOURS:
            raise ValueError(f'protocol {self.name!r}: colour must be one of {", ".join(map(repr, COLOURS))}, '
                             f'got {self.colour!r}')
        if self.crop_border < 0:
            raise ValueError(f'protocol {self.name!r}: crop_border must not be negative, got {self.crop_border}')
        check_ssim_options(self.ssim_window, self.ssim_sigma, self.ssim_padding)

    def prepare(self, pred, gt):
        """Return prediction and ground truth as this protocol compares them.

        Args:
            pred (Tensor): (3, H, W) or (N, 3, H, W) RGB, float in [0, 1] (values outside are clamped) or uint8.
            gt (Tensor): The same shape, uint8 or float in [0, 1]; moved to the prediction's device.

        Returns:
            tuple[Tensor, Tensor]: float32 (N, C, h, w) in [0, 1], C = 3 for 'rgb', 1 for 'y-bt601'.

        Raises:
            ValueError: If the shapes differ, or nothing is left within crop_border.
        """
        if pred.shape != gt.shape or pred.ndim not in (3, 4) or pred.shape[-3] != 3:
            raise ValueError(f'protocol {self.name!r} compares two RGB images (3, H, W) of the same size, got a '
                             f'prediction {tuple(pred.shape)} and a ground truth {tuple(gt.shape)}')
        border = self.crop_border
        if min(pred.shape[-2:]) <= 2 * border:
            raise ValueError(f'protocol {self.name!r} cuts {border} pixels from each side, which leaves nothing of an '
                             f'image of {pred.shape[-2]}x{pred.shape[-1]}')
        return self._convert(pred), self._convert(gt.to(pred.device))

    def _convert(self, image):
        image = image.detach().to(torch.float32) / 255 if image.dtype == torch.uint8 else image.detach().float()
        image = image[None] if image.ndim == 3 else image
        border = self.crop_border
        image = image[..., border:image.shape[-2] - border, border:image.shape[-1] - border].clamp(0, 1)
        if self.quantize:
            image = (image * 255).round() / 255
        if self.colour == 'y-bt601':
            factors = image.new_tensor([65.481, 128.553, 24.966]).view(3, 1, 1)
            luma = (image * factors).sum(dim=1, keepdim=True) + 16
            image = (luma.round() if self.quantize else luma) / 255
        return image


PROTOCOLS = {protocol.name: protocol for protocol in (
    # full resolution RGB, the float output clamped, before rounding: what most recent dehazing code reports
    Protocol('rgb'),
    # the same on the 8-bit image that is written to disk
    Protocol('rgb-uint8', quantize=True),
    # luma of the 8-bit image, as MATLAB scripts of super-resolution and deraining report
    Protocol('y-matlab', colour='y-bt601', quantize=True),
)}


def get_protocol(name):
    """Return the protocol registered under ``name`` (a Protocol is returned as it is).

    Raises:
        ValueError: If there is none; the message gives the nearest names.

    Example:
        >>> get_protocol('y-matlab').colour
        'y-bt601'
    """
    if isinstance(name, Protocol):
        return name
    if name not in PROTOCOLS:
        raise ValueError(unknown_name_message(name, PROTOCOLS, 'list of protocols (restorekit.evaluation.PROTOCOLS)')
                         .split(' If it is')[0])
    return PROTOCOLS[name]

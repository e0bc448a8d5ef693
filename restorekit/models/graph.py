"""A network with its pre- and post-processing as one graph: RGB of any size in, RGB of that size out."""

from __future__ import annotations

import torch
from torch import nn

from restorekit.functional.padding import padded_side
from restorekit.functional.ranges import rescale


class RestorationGraph(nn.Module):
    """Pad, scale to the network's range, restore, scale back, cut, clip: what a pipeline does, in one module.

    It has no branch on a size, so that ``torch.export`` and ONNX keep height and width free.

    Args:
        network (RestorationNetwork): In eval mode.
        uint8 (bool): Take and return uint8 (N, H, W, 3), as image files are read; else float32 (N, 3, H, W) in [0, 1].
        coefficients (bool): Return as well what ``network.coefficients`` does, for networks that have them.

    Example:
        >>> from restorekit.models import AODNet
        >>> graph = RestorationGraph(AODNet().eval(), uint8=True)
        >>> graph(torch.zeros(1, 5, 7, 3, dtype=torch.uint8)).shape
        torch.Size([1, 5, 7, 3])
    """

    def __init__(self, network, uint8: bool = False, coefficients: bool = False):
        super().__init__()
        self.network, self.uint8, self.coefficients = network, uint8, coefficients

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Restore a batch."""
        x = image.permute(0, 3, 1, 2).float() / 255 if self.uint8 else image
        height, width = x.shape[-2:]
        x, top = self._pad(x, 2)
        x, left = self._pad(x, 3)
        x = rescale(x, (0.0, 1.0), self.network.input_range)
        coefficients = self.network.coefficients(x) if self.coefficients else ()
        x = self.network.apply_coefficients(x, *coefficients) if self.coefficients else self.network(x)
        x = rescale(x[:, :, top:top + height, left:left + width], self.network.output_range).clamp(0, 1)
        x = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1) if self.uint8 else x
        return (x, *coefficients) if self.coefficients else x

    def _pad(self, x, dim):
        """As :func:`~restorekit.functional.padding.pad_to_multiple`, by an index that holds for any size."""
        divisor, min_size = self.network.size_divisor, self.network.min_size
        if divisor == min_size == 1:
            return x, 0
        size = x.shape[dim]
        padded, before = padded_side(size, divisor, min_size, torch.sym_max)
        before = 0 if self.network.pads_after else before
        index = torch.arange(padded, device=x.device) - before
        last = size - 1
        reflected = last - (last - index.abs()).abs()
        edge = index.clamp(min=0).minimum(torch.full_like(index, 1) * last)
        # reflection needs a side longer than the padding
        reflects = (torch.full_like(index, 1) * (padded - size - before)) < size
        index = torch.where(reflects, reflected, edge)
        return x.index_select(dim, index), before

"""Running a network with torch; what a backend offers to the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from restorekit.functional.ranges import rescale
from restorekit.messages import InputError

from .forward_memory import forward_memory
from .held import HoldStatistics, RecordStatistics
from .memory import free_memory

if TYPE_CHECKING:
    from restorekit.models.networks.base import RestorationNetwork

PRECISIONS = {'auto': None, 'fp32': None, 'bf16': torch.bfloat16, 'fp16': torch.float16}

_KEPT = 4 * 32 * 2 ** 20  # bytes of freed blocks that the allocator of C may keep beside those in use
_DEVICE_STRIP = 2 ** 20  # pixels corrected at once on a GPU; some 80 MiB


class _Coefficients(Protocol):
    """What a network of ``tiling = 'coefficients'`` has beside ``forward``."""

    def coefficients(self, x: Tensor) -> tuple[Tensor, ...]: ...

    def apply_coefficients(self, x: Tensor, *coefficients: Tensor, rows: slice, height: int) -> Tensor: ...

    def apply_coefficients_array(self, pixels: np.ndarray, *coefficients: np.ndarray, strength: float
                                 ) -> np.ndarray | None: ...


class TorchBackend:
    """A network of restorekit on a device.

    Args:
        network (RestorationNetwork): In eval mode, on the device.
        device (torch.device): Where it is.
        precision (str): 'auto' and 'fp32' are float32; 'bf16' and 'fp16' run under autocast.

    Attributes:
        tiling, size_divisor, min_size, receptive_field: What the network declares.
        look (tuple[int, int] | None): Height and width of the copy from which it takes coefficients; None: any.
    """

    protect_highlights = False

    def __init__(self, network: RestorationNetwork, device: str | torch.device, precision: str = 'auto'):
        if precision not in PRECISIONS:
            raise InputError(f'precision must be one of {", ".join(PRECISIONS)}, but got {precision!r}')
        if torch.device(device).type == 'cpu' and network.tiling == 'coefficients':
            network.to(memory_format=torch.channels_last)  # of one small copy, oneDNN likes that better
        self.network: Any = network  # what it can do beyond forward depends on its tiling
        self.device, self.autocast = torch.device(device), PRECISIONS[precision]
        self.tiling, self.size_divisor, self.min_size = network.tiling, network.size_divisor, network.min_size
        self.receptive_field = network.receptive_field
        self.model_name = type(network).__name__
        self.linear = self.tiling != 'coefficients'  # in which light results of less strength are mixed
        self.look = look_size(network)
        self.pads_after = network.pads_after
        self._memory: dict[tuple[int, int], int] = {}

    def info(self) -> dict:
        """Return what the model is."""
        return dict(network=self.model_name, parameters=sum(p.numel() for p in self.network.parameters()),
                    device=str(self.device), notice=getattr(self.network, 'notice', None))

    def release(self) -> None:
        """Give memory that torch keeps for later back to the GPU."""
        if self.device.type == 'cuda':
            torch.cuda.empty_cache()

    def __call__(self, tile: np.ndarray) -> np.ndarray:
        """Restore float32 (h, w, 3) in [0, 1]; both sides fit the network. Returns float32 (h, w, 3), not clipped."""
        return self._run(lambda x: self.network(x), tile)

    def with_statistics(self, values: Sequence[np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that restores tiles with the global averages of :meth:`statistics`."""
        held = self._tensors(values)

        def infer(tile: np.ndarray) -> np.ndarray:
            with HoldStatistics(held):
                return self(tile)
        return infer

    def statistics(self, small: np.ndarray) -> list[np.ndarray]:
        """Return the global averages that the network takes of an image, (N, C, 1, 1) each."""
        with RecordStatistics() as record:
            self(small)
        return [value.float().cpu().numpy() for value in record.values]

    def coefficients(self, image: np.ndarray) -> list[np.ndarray]:
        """Return the coefficients of a whole image, or of its copy of size :attr:`look`: float32 (H, W, 3) in [0, 1].
        """
        with torch.inference_mode(), self._autocast():
            found = cast(_Coefficients, self.network).coefficients(self._tensor(image))
        return [value.float().cpu().numpy() for value in found]

    def apply(self, strip: np.ndarray, coefficients: Sequence[np.ndarray], start: int, height: int) -> np.ndarray:
        """Apply coefficients to rows ``start`` and following of an image of ``height`` rows; float32 (h, W, 3)."""
        rows = slice(start, start + strip.shape[0])
        with torch.inference_mode():
            network, given = cast(_Coefficients, self.network), self._tensors(coefficients)
            return self._array(network.apply_coefficients(self._tensor(strip), *given, rows=rows, height=height))

    def apply_bytes(self, pixels: np.ndarray, coefficients: Sequence[np.ndarray], strength: float
                    ) -> np.ndarray | None:
        """Apply coefficients to a whole uint8 image at the speed of memory; None where the network has no way to."""
        if self.device.type != 'cpu':
            return self._apply_on_device(pixels, coefficients, strength)
        if not hasattr(self.network, 'apply_coefficients_array'):
            return None
        return cast(_Coefficients, self.network).apply_coefficients_array(pixels, *coefficients, strength=strength)

    @torch.inference_mode()
    def _apply_on_device(self, pixels: np.ndarray, coefficients: Sequence[np.ndarray], strength: float) -> np.ndarray:
        """Send bytes to the device and fetch bytes: a quarter of the traffic of floats, nothing left to the CPU."""
        network, given = cast(_Coefficients, self.network), self._tensors(coefficients)
        height, width = pixels.shape[:2]
        result, step = np.empty_like(pixels), max(1, _DEVICE_STRIP // width)
        for start in range(0, height, step):
            strip = torch.from_numpy(np.ascontiguousarray(pixels[start:start + step])).to(self.device)
            seen = strip.permute(2, 0, 1)[None] / 255
            restored = network.apply_coefficients(rescale(seen, (0.0, 1.0), self.network.input_range), *given,
                                                  rows=slice(start, start + len(strip)), height=height)
            restored = torch.lerp(seen, rescale(restored.float(), self.network.output_range).clamp(0, 1), strength)
            result[start:start + step] = (restored[0].permute(1, 2, 0) * 255).round().byte().cpu().numpy()
        return result

    def memory(self, height: int, width: int) -> int:
        """Return the bytes that a pass over (height, width) takes from the system.

        On the CPU that is more than what the tensors hold: the allocator of C keeps freed blocks of up to 32 MiB, and
        the holes between those in use. Measured are up to half of the tensors (gUNet-T at 256 x 256).
        ``tools/research/memory_estimate.py`` compares it with the system at sizes and networks that it was not made
        from: 26 ratios from 0.97 to 1.73 (x86-64, glibc, 2026-11-26). The pipeline keeps to 0.8 of what is free.
        """
        key = height, width
        if key not in self._memory:
            tensors = forward_memory(self.network, height, width)
            self._memory[key] = tensors + (min(tensors // 2, _KEPT) if self.device.type == 'cpu' else 0)
        return self._memory[key]

    def free(self) -> int:
        """Return the free bytes where the network runs."""
        return free_memory(self.device)

    def _run(self, function: Callable[[Tensor], Tensor], tile: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), self._autocast():
            return self._array(function(self._tensor(tile)))

    def _autocast(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None)

    def _tensor(self, tile: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(tile.transpose(2, 0, 1)))[None].to(self.device)
        scaled: Tensor = rescale(x, (0.0, 1.0), self.network.input_range)
        return scaled

    def _tensors(self, arrays: Sequence[np.ndarray]) -> list[Tensor]:
        return [torch.from_numpy(array).to(self.device) for array in arrays]

    def _array(self, output: Tensor) -> np.ndarray:
        output = rescale(output.float(), self.network.output_range)
        return output[0].permute(1, 2, 0).cpu().numpy()


def look_size(network: RestorationNetwork) -> tuple[int, int] | None:
    """Return height and width of the copy of an image from which a network takes its coefficients, if it makes one."""
    size = getattr(network, 'height', None), getattr(network, 'width', None)
    return cast('tuple[int, int]', size) if network.tiling == 'coefficients' and None not in size else None


def check_device(device: str | torch.device | None) -> torch.device:
    """Return the device, by default CUDA if there is one.

    Raises:
        InputError: If torch does not know it, or it is not there.
    """
    try:
        device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    except RuntimeError as error:
        raise InputError(f'device must be cpu, cuda or cuda:N, but got {device!r}') from error
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise InputError(f"device '{device}' was asked for, but torch finds no CUDA here; use cpu")
    if device.type == 'cuda' and device.index is not None and device.index >= torch.cuda.device_count():
        raise InputError(f"device '{device}' was asked for, but there are {torch.cuda.device_count()} CUDA devices")
    return device

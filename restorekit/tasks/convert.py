"""Convert published weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .train import PathLike


@dataclass(frozen=True)
class ConversionReport:
    """What was converted.

    Attributes:
        target (Path): The file written.
        tensors (list[tuple[str, str, tuple[int, ...]]]): Of each tensor: its old name, new name and shape.
        values (int): Number of values in all of them.
        input_range (tuple[float, float]): Range of the images that the network takes.
        output_range (tuple[float, float]): Range of the images that it returns.
    """

    target: Path
    tensors: list[tuple[str, str, tuple[int, ...]]]
    values: int
    input_range: tuple[float, float]
    output_range: tuple[float, float]


def convert(source: PathLike, target: PathLike, *, reverse: bool = False, force: bool = False) -> ConversionReport:
    """Convert a published checkpoint of CID to restorekit's format, or back.

    Reading runs no code from the file. Writing is atomic.

    Args:
        source (str | Path): The published checkpoint; with ``reverse``, a checkpoint of restorekit.
        target (str | Path): The file to write; ``.safetensors``: the weights of the network alone.
        reverse (bool): Convert from restorekit to the published form.
        force (bool): Overwrite ``target``.

    Returns:
        ConversionReport: The names of all tensors, before and after.

    Raises:
        ExistingFileError: If ``target`` exists and ``force`` is False.
        InputError: If the file holds another network.
        CheckpointError: If the file is damaged, or would run code when loaded.

    Example:
        >>> import restorekit
        >>> restorekit.convert('published.pk', 'cid.pth').values  # doctest: +SKIP
        49351930
    """
    from restorekit.models import CIDDecoder
    from restorekit.zoo import convert_cid_file
    state, names = convert_cid_file(str(source), str(target), reverse=reverse, force=force)
    return ConversionReport(Path(target), [(old, new, tuple(state[new].shape)) for old, new in names],
                            sum(value.numel() for value in state.values()), CIDDecoder.input_range,
                            CIDDecoder.output_range)

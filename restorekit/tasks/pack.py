"""Pack a trained network into a small file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .train import PathLike


@dataclass(frozen=True)
class PackReport:
    """What was packed.

    Attributes:
        target (Path): The file written.
        size (int): Its size in bytes.
        sha256 (str): Its SHA-256 (hex).
    """

    target: Path
    size: int
    sha256: str


def pack(checkpoint: PathLike, target: PathLike, *, dtype: str = 'float16', licence: str | None = None,
         force: bool = False) -> PackReport:
    """Write the network of a checkpoint as safetensors that says what network it holds.

    Args:
        checkpoint (str | Path): A checkpoint of a training run of restorekit.
        target (str | Path): The file to write; ends in ``.safetensors``.
        dtype (str): ``'float16'`` (half the size), ``'bfloat16'`` or ``'float32'``.
        licence (str, optional): Licence of the weights; the file says it in its metadata.
        force (bool): Overwrite ``target``.

    Returns:
        PackReport: File, size and hash.

    Raises:
        ExistingFileError: If ``target`` exists and ``force`` is False.
        CheckpointError: If the checkpoint is damaged, names no network, or holds values that are not finite.
        InputError: If ``dtype`` or the suffix of ``target`` is unknown.

    Example:
        >>> import restorekit
        >>> restorekit.pack('work_dirs/haze/iter_2400.pth', 'haze.safetensors').size  # doctest: +SKIP
        3912345
    """
    from restorekit.zoo.pack import pack_network
    digest = pack_network(checkpoint, target, dtype=dtype, overwrite=force,
                          metadata=None if licence is None else dict(licence=licence))
    return PackReport(Path(target), Path(target).stat().st_size, digest)

"""Look at what a config means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .train import PathLike

if TYPE_CHECKING:
    from mmengine.config import Config


def show_config(config: PathLike, *, phase: str | None = None, options: dict[str, Any] | None = None) -> Config:
    """Return a config with its bases, its options and the overrides of a phase merged.

    Args:
        config (str | Path): Config file, or its name, such as ``'cid/cid_quickstart'``.
        phase (str, optional): Return the complete config that this phase runs.
        options (dict, optional): Changes of the config, with dotted keys.

    Returns:
        mmengine.Config: The config; ``pretty_text`` is its Python text.

    Raises:
        ConfigError: If the config has an error, or no such phase.
        MissingFileError: If there is no such config.

    Example:
        >>> import restorekit
        >>> restorekit.show_config('cid/cid_quickstart', phase='adapt').frozen  # doctest: +SKIP
        ['network.encoder']
    """
    from restorekit.config import load_config, phase_config
    cfg = load_config(config, options=options)
    return cfg if phase is None else phase_config(cfg, phase)

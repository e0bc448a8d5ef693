"""Finding a model by name or file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from restorekit.messages import InputError, MissingFileError

from .pipeline import RestorationPipeline

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from restorekit.checkpoint import CheckpointError
    from restorekit.models.networks.base import RestorationNetwork

#: The model that comes with restorekit.
DEFAULT_MODEL = 'haze'
_REMOTE = ('https://', 'http://', 'hf://')  # restorekit.zoo.remote, which imports torch, is asked for these only
_FILES = ('.pth', '.pt', '.pk', '.pkl', '.ckpt', '.safetensors', '.bin', '.onnx')


def load(name_or_path: str | os.PathLike | None = None, *, checkpoint: str | os.PathLike | None = None,
         config: str | os.PathLike | None = None, device: str | None = None, tile: str | int = 'auto',
         precision: str = 'auto', backend: str | None = None, strength: float = 1.0,
         protect_highlights: bool | None = None) -> RestorationPipeline:
    """Load a model, by its name or from a checkpoint.

    Args:
        name_or_path (str | Path, optional): A checkpoint file, a name of :func:`list_models`, or what others published:
            an https URL, or ``hf://user/repository``; default: the model that comes with restorekit.
        checkpoint (str | Path, optional): A checkpoint file; not beside a name.
        config, device, tile, precision, backend, strength: See
            :class:`~restorekit.inference.pipeline.RestorationPipeline`.
        protect_highlights (bool, optional): Default: what the model recommends.

    Raises:
        UserError: If there is no such model or file, or it cannot be used.

    Example::

        model = restorekit.load('work_dirs/run/latest.pth')
        clear = model('hazy.jpg')
    """
    if name_or_path is not None and checkpoint is not None:
        raise InputError(f'give a model ({name_or_path}) or a checkpoint ({checkpoint}), not both')
    if checkpoint is None and name_or_path is not None and \
            not str(name_or_path).startswith(_REMOTE) and \
            (Path(name_or_path).suffix.lower() in _FILES or Path(name_or_path).is_file()):
        checkpoint = name_or_path
    recommended = None
    if checkpoint is None and name_or_path is not None and str(name_or_path).startswith(_REMOTE):
        from restorekit.zoo.remote import fetch_model
        checkpoint = fetch_model(str(name_or_path))
    if checkpoint is None:
        checkpoint, recommended = _model_file(DEFAULT_MODEL if name_or_path is None else str(name_or_path))
    return RestorationPipeline(checkpoint, config, device, tile=tile, precision=precision, backend=backend,
                               strength=strength,
                               protect_highlights=recommended if protect_highlights is None else protect_highlights)


def list_models(pattern: str = '*') -> list[str]:
    """Return the names of the models that :func:`load` knows, those that match a glob.

    Example:
        >>> isinstance(list_models('no such model'), list)
        True
    """
    from restorekit.zoo import index
    return index.list_models(pattern)


def _model_file(name: str) -> tuple[Path, bool]:
    from restorekit.zoo import index
    entry = index.find_model(name)
    if not entry.path.is_file():
        raise MissingFileError(f'the model {name!r} has no weights in this copy of restorekit; give a checkpoint with '
                               '--checkpoint')
    return entry.path, entry.protect_highlights


def load_network(checkpoint: str | os.PathLike, config: str | os.PathLike | None = None,
                 device: str | torch.device = 'cpu') -> RestorationNetwork:
    """Build a network and load its weights.

    Args:
        checkpoint (str | Path): A checkpoint of a training run, a converted one, a bare state dict, or a name of
            :func:`list_models`.
        config (str | Path, optional): Config whose ``model.network`` is built. Default: the network's description
            stored in the checkpoint as JSON data; text from a checkpoint is never executed. Weights without one are
            tried as those of another tool (extra ``foreign``).
        device (str): Where to put it.

    Returns:
        RestorationNetwork: In eval mode.

    Raises:
        MissingFileError: If there is no such file.
        UnknownNameError: If a name without folder and suffix is neither a file nor a model.
        CheckpointError: If the file is no checkpoint, or describes no network and ``config`` is not given.
        RuntimeError: If the weights are those of another network.
    """
    from restorekit.checkpoint import (
        CheckpointError,
        build_described_network,
        load_checkpoint_file,
        load_network_weights,
        network_description,
        network_state,
    )
    from restorekit.registry import MODELS
    path = Path(checkpoint)
    if path.name == str(checkpoint) and path.suffix.lower() not in _FILES and not path.is_file() and \
            (not path.exists() or str(checkpoint) in list_models()):
        checkpoint = _model_file(str(checkpoint))[0]
    loaded = load_checkpoint_file(str(checkpoint), map_location='cpu')
    state = network_state(loaded, checkpoint)
    if config is None:
        try:
            description = network_description(loaded, checkpoint)
        except CheckpointError as error:
            if 'restorekit' in (loaded.get('meta') or {}):
                raise
            network = _foreign(state, str(checkpoint), error)
        else:
            network = build_described_network(description, state, str(checkpoint))
    else:
        from restorekit.config import ConfigError, load_config
        network_cfg = load_config(config).get('model', {}).get('network')
        if network_cfg is None:
            raise ConfigError(f'{config} has no model.network, so there is nothing to load {checkpoint} into')
        network = MODELS.build(network_cfg)
        load_network_weights(network, state, str(checkpoint))
    ready: RestorationNetwork = network.to(device).eval().requires_grad_(False)
    return ready


def _foreign(state: dict[str, Tensor], source: str, unknown: CheckpointError) -> RestorationNetwork:
    """Return the network of weights that restorekit did not write, where spandrel knows it."""
    from restorekit.checkpoint import CheckpointError
    from restorekit.messages import MissingDependencyError
    from restorekit.models.networks.spandrel_network import SpandrelNetwork
    try:
        return SpandrelNetwork(state=state)
    except MissingDependencyError as error:
        raise CheckpointError(f'{unknown}; or, if it is a network of another tool, {error}') from unknown
    except CheckpointError as error:
        text = str(error).replace('the state dict', source, 1)
        raise CheckpointError(f'{unknown}; {text.removeprefix(f"{source}: ")}' if 'knows no' in text
                              else text) from error

"""Teaching spandrel, and so the programs that use it, restorekit's own networks."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorekit.messages import MissingDependencyError

if TYPE_CHECKING:
    import torch

from .index import find_model, list_models


def register_with_spandrel(*checkpoints: str | os.PathLike, registry: Any = None) -> list[str]:
    """Let spandrel's ``ModelLoader`` (ComfyUI, chaiNNer and others) open checkpoints of restorekit.

    A state dict does not say what network it holds, so it is recognised by the names and shapes of its tensors: those
    of the models that come with restorekit, and of the given checkpoints.

    Args:
        *checkpoints: More checkpoints of restorekit whose networks spandrel should know.
        registry (spandrel.ArchRegistry, optional): Default: spandrel's ``MAIN_REGISTRY``.

    Returns:
        list[str]: Identifiers of the architectures that were added; none for those that are there already.

    Raises:
        MissingDependencyError: If spandrel is not installed.
        CheckpointError: If a checkpoint cannot be read or does not say what network it holds.

    Example::

        restorekit.zoo.register_with_spandrel('latest.pth')
        model = spandrel.ModelLoader().load_from_file('latest.pth')
    """
    try:
        import spandrel
    except ImportError as error:
        raise MissingDependencyError('spandrel is not installed: pip install "restorekit[foreign]"') from error
    from restorekit.checkpoint import load_checkpoint_file, network_description, network_state
    registry = spandrel.MAIN_REGISTRY if registry is None else registry
    shipped = [path for name in list_models() if (path := find_model(name).path).is_file()]
    added = []
    for path in [*shipped, *map(Path, checkpoints)]:
        loaded = load_checkpoint_file(path)
        state = network_state(loaded, path)
        if not state:
            continue
        made = _architecture(spandrel, network_description(loaded, path), _shapes(state))
        if made.id not in {support.architecture.id for support in registry.architectures('detection')}:
            registry.add(spandrel.ArchSupport.from_architecture(made))
            added.append(str(made.id))
    return added


def _architecture(spandrel: Any, cfg: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> Any:
    import torch

    from restorekit.models.graph import RestorationGraph
    from restorekit.registry import MODELS

    class Restorekit(spandrel.Architecture[torch.nn.Module]):
        def __init__(self) -> None:
            digest = zlib.crc32(repr(sorted(shapes.items())).encode())
            super().__init__(id=f'restorekit-{cfg["type"]}-{digest:08x}', name=f'restorekit {cfg["type"]}',
                             detect=lambda state: _shapes(_own(state)) == shapes)

        def load(self, state_dict: dict[str, torch.Tensor]) -> Any:
            network = MODELS.build(dict(cfg)).eval()
            graph = RestorationGraph(network).eval()
            state = {f'network.{name}': tensor for name, tensor in _own(state_dict).items()}
            return spandrel.ImageModelDescriptor(
                graph, state, architecture=self, purpose='Restoration', tags=[cfg['type']], supports_half=False,
                supports_bfloat16=False, scale=1, input_channels=3, output_channels=3,
                size_requirements=spandrel.SizeRequirements(),
                tiling=spandrel.ModelTiling.SUPPORTED if network.tiling == 'exact' else
                spandrel.ModelTiling.DISCOURAGED)
    return Restorekit()


def _own(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The network's tensors; a training checkpoint holds them under network."""
    inner = {key.removeprefix('network.'): value for key, value in state.items() if key.startswith('network.')}
    return inner or state


def _shapes(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}

"""Fully sharded training (FSDP2): each process keeps its part of the weights, gradients and optimizer state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import broadcast
from mmengine.hooks import EMAHook
from torch import Tensor, nn

from restorekit.config import ConfigError
from restorekit.messages import InputError, UnavailableError, did_you_mean
from restorekit.registry import HOOKS, MODEL_WRAPPERS

DEVICES = ('cuda',)  # where it is offered: on a CPU it is slower than DistributedDataParallel and saves nothing


@MODEL_WRAPPERS.register_module()
class FullyShardedModel(nn.Module):
    """Shard a restorer over all processes with ``torch.distributed.fsdp.fully_shard`` (FSDP2).

    Each process keeps 1/n of every weight, gradient and optimizer state. A block's weights are gathered when it runs
    and freed after; all else is one more such unit. The weights after a step are those of DistributedDataParallel up to
    rounding. Checkpoints are the same files: they can be resumed by any number of processes, sharded or not.

    It is plain until the optimizer is built, so that a test runs as it does in DistributedDataParallel. A validation
    gathers all weights once, since processes may validate unequal numbers of images. Gradients are reduced in every
    iteration of an accumulation, which keeps them sharded.

    Args:
        module (nn.Module): The restorer.
        blocks (Sequence[str], optional): Names of modules that are units, as those of ``frozen``
            (``['network.encoder.layer1']``); each must be called as a module. Default: the outermost items of the
            network's ``nn.Sequential`` and ``nn.ModuleList`` that consist of several modules.
        reshard_after_forward (bool): Free a block's weights after its forward pass and gather them again for the
            backward pass; False takes more memory and less communication.

    Raises:
        InputError: If ``blocks`` names no module.
    """

    def __init__(self, module: nn.Module, blocks: Sequence[str] | None = None, reshard_after_forward: bool = True):
        super().__init__()
        self.module, self.reshard_after_forward = module, reshard_after_forward
        self.blocks = list(_outermost_blocks(module.network, 'network.') if blocks is None else blocks)
        _check_names(self.blocks, module)
        self.sharded = self._gathered = False

    def shard(self) -> None:
        """Give every process the first one's weights, and keep a part of them. Every process must call.

        Raises:
            InputError: If a parameter has no dimension along which it could be cut.
        """
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard
        scalars = [name for name, parameter in self.module.named_parameters() if parameter.ndim == 0]
        if scalars:
            raise InputError(f'FullyShardedModel cannot shard parameters without a dimension, but got {scalars[0]}; '
                             'give it the shape (1,), or drop model_wrapper_cfg')
        for value in self.module.state_dict().values():
            broadcast(value)
        device = next(self.module.parameters()).device.type
        mesh = init_device_mesh(device, (torch.distributed.get_world_size(),))
        for name in self.blocks:
            fully_shard(self.module.get_submodule(name), mesh=mesh, reshard_after_forward=self.reshard_after_forward)
        fully_shard(self.module, mesh=mesh, reshard_after_forward=False)
        self.sharded = True

    def train(self, mode: bool = True) -> FullyShardedModel:
        """Set the mode; eval mode gathers all weights, training mode frees them. Every process must call."""
        super().train(mode)
        if self.sharded and mode == self._gathered:
            for module in [*map(self.module.get_submodule, self.blocks), self.module]:
                free = mode and self.reshard_after_forward and module is not self.module
                module.set_reshard_after_forward(free, recurse=False)
                module.reshard() if mode else module.unshard()
            self._gathered = not mode
        return self

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the restorer."""
        return self.module(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        """Train on one batch, as the restorer does."""
        return self.module.train_step(data, optim_wrapper)

    def val_step(self, data: Any) -> list:
        """Predict a batch of the validation."""
        return self.module.val_step(data)

    def test_step(self, data: Any) -> list:
        """Predict a batch of a test."""
        return self.module.test_step(data)


def check_available(cfg: Any) -> None:
    """Refuse to start a training that the config wants sharded where FSDP2 is not offered.

    Raises:
        UnavailableError: Without CUDA, in a single process without a launcher, or with an old torch.
    """
    if not is_fully_sharded(cfg):
        return
    if ('cuda' if torch.cuda.is_available() else 'cpu') not in DEVICES:
        raise UnavailableError(
            'FullyShardedModel (FSDP2) needs CUDA GPUs, and torch finds none here. Drop model_wrapper_cfg: on a CPU '
            'several processes train with DistributedDataParallel, to the same weights up to rounding')
    if cfg.get('launcher', 'none') == 'none':
        raise UnavailableError('FullyShardedModel (FSDP2) shards over the processes of a launcher, and this run has '
                               'none: start with `tools/dist_train.sh CONFIG 8`, or drop model_wrapper_cfg')
    from torch.distributed.fsdp import FSDPModule
    if not hasattr(FSDPModule, 'set_reshard_after_forward'):
        raise UnavailableError(f'FullyShardedModel (FSDP2) needs torch 2.8 or newer, but got {torch.__version__}')


def is_fully_sharded(cfg: Any) -> bool:
    """Return whether the config of a run asks for :class:`FullyShardedModel`."""
    wrapper = cfg.get('model_wrapper_cfg') or {}
    kind = wrapper.get('type')
    kind = MODEL_WRAPPERS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, FullyShardedModel)


def check_fully_sharded(cfg: Any, model: nn.Module, where: str) -> None:
    """Refuse what cannot be trained sharded, before anything runs; do nothing where the config does not ask for it.

    Args:
        cfg (Config | dict): Of one run.
        model (nn.Module): The restorer it builds.
        where (str): Its file (and phase), for messages.

    Raises:
        ConfigError: Names the key.
    """
    if not is_fully_sharded(cfg):
        return
    what = f'{where}: model_wrapper_cfg: FullyShardedModel'
    if not getattr(model, 'shardable', False):
        raise ConfigError(f'{what} trains a restorer that uses its weights in its forward pass only (Restorer, '
                          f'DistillationRestorer), but got {type(model).__name__}; drop model_wrapper_cfg')
    hooks = [*(cfg.get('custom_hooks') or ()), *(cfg.get('default_hooks') or {}).values()]
    for hook in hooks:
        kind = hook.get('type') if isinstance(hook, dict) else None
        kind = HOOKS.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type) and issubclass(kind, EMAHook):
            raise ConfigError(f'{what} has no whole weights to average; drop {kind.__name__}, or drop '
                              'model_wrapper_cfg')
    if 'CachedFeatures' in _types(cfg.get('train_dataloader')):
        raise ConfigError(f'{what} has no whole encoder to compare with that of CachedFeatures; drop one of the two')
    if cfg.get('compile'):
        raise ConfigError(f'{what} does not go together with compile; drop one of the two')
    optimizer = ((cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('type')
    if str(optimizer).split('.')[-1] == 'AdamWScheduleFree':
        raise ConfigError(f'{what} has no whole weights for the average of {optimizer}; use AdamW, or drop '
                          'model_wrapper_cfg')
    if cfg['model_wrapper_cfg'].get('blocks') is not None:
        try:
            _check_names(cfg['model_wrapper_cfg']['blocks'], model)
        except InputError as error:
            raise ConfigError(f'{where}: model_wrapper_cfg: {error}') from error


def whole(value: Any, keep: bool = True) -> Any:
    """Return nested values with every sharded tensor gathered, on the CPU. Every process must call.

    Args:
        value: Dicts, lists and tuples of tensors and others.
        keep (bool): Whether this process wants the result; None stands for each sharded tensor otherwise.
    """
    if isinstance(value, dict):
        return type(value)((key, whole(item, keep)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(whole(item, keep) for item in value)
    if not is_sharded(value):
        return value
    full = value.full_tensor()
    return full.cpu() if keep else None


def is_sharded(value: Any) -> bool:
    """Return whether a value is a tensor of which this process holds a part."""
    return isinstance(value, Tensor) and hasattr(value, 'full_tensor')


def shard_like(value: Tensor, reference: Tensor) -> Tensor:
    """Return this process's part of a whole tensor, cut as ``reference`` is; the tensor itself where that is whole.

    Every process must call, and holds the same tensor.
    """
    if not is_sharded(reference) or is_sharded(value):
        return value
    from torch.distributed.tensor import distribute_tensor
    return distribute_tensor(value.to(reference.device), reference.device_mesh, reference.placements)


def shard_state(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Cut a state dict of whole tensors as a model's is, by name. Every process must call."""
    own = model.state_dict()
    return {name: shard_like(value, own[name]) if name in own and own[name].shape == value.shape else value
            for name, value in state.items()}


def shard_optimizer_state(state: dict, optimizer: torch.optim.Optimizer) -> dict:
    """Cut the state of an optimizer as its parameters are. Every process must call.

    Args:
        state (dict): A state dict with ``param_groups`` and ``state``, of whole tensors.
        optimizer (Optimizer): Of the same parameters in the same order.
    """
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    numbers = [number for group in state['param_groups'] for number in group['params']]
    own = dict(zip(numbers, parameters, strict=True))
    return {**state, 'state': {number: {
        key: shard_like(value, own[number])
        if isinstance(value, Tensor) and value.ndim and value.shape == own[number].shape else value
        for key, value in entries.items()} for number, entries in state['state'].items()}}


def _outermost_blocks(module, prefix):
    containers = (nn.Sequential, nn.ModuleList)
    for name, child in module.named_children():
        item = isinstance(module, containers) and not isinstance(child, containers)
        if item and next(child.children(), None) is not None and next(child.parameters(), None) is not None:
            yield f'{prefix}{name}'
        else:
            yield from _outermost_blocks(child, f'{prefix}{name}.')


def _types(node):
    if isinstance(node, dict):
        return {str(node.get('type')).split('.')[-1]}.union(*map(_types, node.values()))
    return set().union(*map(_types, node)) if isinstance(node, (list, tuple)) else set()


def _check_names(names, module):
    known = dict(module.named_modules())
    for name in names:
        if name not in known:
            raise InputError(f'FullyShardedModel: the model has no module {name!r}; '
                             + did_you_mean(name, known, 'names are as those of frozen'))

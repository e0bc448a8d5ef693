"""Learning rates that fall from the last layer of an encoder to its first."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.optim import OptimWrapper
from torch import nn

from restorekit.files.names import log
from restorekit.messages import InputError, did_you_mean
from restorekit.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .optim import TrainableOptimWrapperConstructor


def encoder_layers(encoder: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of an encoder by layer, from the input on, in the order its modules were registered.

    A block (of a ``Sequential``, a ``ModuleList``, or the ``blocks`` of a stage) is a layer; so is a run of plain
    convolutions and norms, such as a stem.

    Example:
        >>> block = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
        >>> [len(layer) for layer in encoder_layers(nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), block))]
        [4, 2, 2]
    """
    layers: list[list[nn.Parameter]] = []
    _collect(encoder, layers, open_layer=False)
    return layers


def _collect(module: nn.Module, layers: list[list[nn.Parameter]], open_layer: bool) -> bool:
    """Add the layers of a module; ``open_layer`` and the result: whether the last layer takes further plain modules."""
    own = list(module.parameters(recurse=False))
    if own:
        layers.append(own)
        open_layer = True
    for child in module.children():
        parameters = list(child.parameters())
        if not parameters:
            continue
        if not list(child.children()):  # a convolution, a norm
            layers[-1].extend(parameters) if open_layer and layers else layers.append(parameters)
            open_layer = True
        elif _holds_layers(child) or _is_wrapper(module):
            open_layer = _collect(child, layers, open_layer)
        else:
            layers.append(parameters)
            open_layer = _is_plain(child)
    return open_layer


def _holds_layers(module: nn.Module) -> bool:
    if isinstance(module, (nn.Sequential, nn.ModuleList)):
        return not _is_plain(module)
    return any(isinstance(getattr(module, name, None), nn.Module) for name in ('blocks', 'layers', 'backbone'))


def _is_wrapper(module: nn.Module) -> bool:
    """Whether a module that is no list of others has one only."""
    inner = [child for child in module.children() if next(child.parameters(), None) is not None]
    return not isinstance(module, (nn.Sequential, nn.ModuleList)) and len(inner) == 1


def _is_plain(module: nn.Module) -> bool:
    return all(not list(child.children()) for child in module.children())


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(TrainableOptimWrapperConstructor):
    """Multiply the learning rate by ``decay`` once for each layer between a parameter and the end of its encoder.

    Layer :math:`i` of :math:`n` of the encoder, counted from the input, learns at
    :math:`\\mathrm{lr} \\cdot d^{n - i}`, all outside the encoder at :math:`\\mathrm{lr}` (Clark et al., ELECTRA, 2020;
    Bao et al., BEiT, 2021). Early layers of a pretrained encoder then change least. It joins ``custom_keys``, whose
    ``lr_mult`` multiplies too.

    Args:
        optim_wrapper_cfg (dict): As of any run.
        paramwise_cfg (dict): ``layer_decay``, in (0, 1]; ``layers_of``, the module whose layers these are (default:
            ``'network.encoder'``); and what any run may have.

    Raises:
        InputError: If ``layer_decay`` is missing or out of range, or there is no such module.

    Example:
        >>> optim_wrapper = dict(constructor='LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(layer_decay=0.8),
        ...                      optimizer=dict(type='AdamW', lr=2e-4))
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        rest: dict[str, Any] = dict(paramwise_cfg or {})
        self.decay, self.layers_of = rest.pop('layer_decay', None), rest.pop('layers_of', 'network.encoder')
        if not isinstance(self.decay, (int, float)) or not 0 < self.decay <= 1:
            raise InputError(f'paramwise_cfg.layer_decay must be in (0, 1], but got {self.decay!r}')
        super().__init__(optim_wrapper_cfg, {'custom_keys': {}, **rest})  # a group for each parameter

    def __call__(self, model: nn.Module) -> OptimWrapper:
        inner = getattr(model, 'module', model)
        modules = dict(inner.named_modules())
        if self.layers_of not in modules:
            raise InputError(f'paramwise_cfg.layers_of: the model has no module {self.layers_of!r}; '
                             + did_you_mean(self.layers_of, modules, 'networks without an encoder take custom_keys'))
        layers = encoder_layers(modules[self.layers_of])
        factors = {id(parameter): self.decay ** (len(layers) - i) for i, layer in enumerate(layers)
                   for parameter in layer}
        wrapper = super().__call__(model)
        for group in wrapper.optimizer.param_groups:
            factor = factors.get(id(group['params'][0]), 1.0)
            group['lr'] *= factor
            if 'initial_lr' in group:
                group['initial_lr'] *= factor
        log(f'{self.layers_of} has {len(layers)} layers; the learning rate of the first is multiplied by '
            f'{self.decay ** len(layers):.3g}', logging.INFO)
        return wrapper

"""Every registry of restorekit.

Each is a child of MMEngine's registry of the same kind, so that
``default_scope='restorekit'`` finds our components first and MMEngine's next.
``DEGRADATIONS`` is restorekit's own.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from mmengine import registry as _root

from .messages import InputTypeError, UnknownNameError, unknown_name_message

OWN_COMPONENT = 'If it is your own, name its module in the config: custom_imports=dict(imports=[...])'


class Registry(_root.Registry):
    """MMEngine's registry, with errors that name the nearest registered components."""

    def names(self) -> list[str]:
        """All names this registry answers to: its own first, then its parents'."""
        self.import_from_location()
        names, parent = list(self._module_dict), self.parent
        while parent is not None:
            names += [name for name in parent._module_dict if name not in names]
            parent = parent.parent
        return names

    def get(self, key: str) -> Any:
        """Return the component registered as ``key``.

        Unlike MMEngine's registry this never imports a dotted path: only what was registered can be built.

        Raises:
            KeyError: If nothing is registered under ``key``; the message gives the nearest names.
        """
        scope, name = self.split_scope_key(key)
        scope = 'mmengine' if scope == 'mmcv' else scope  # mmcv registers in the root
        registry = self if scope in (None, self.scope) else self._get_root_registry()._search_child(scope)
        if registry is self:
            self._import_until(name)
        elif registry is not None:
            registry.import_from_location()
        while registry is not None:
            if name in registry._module_dict:
                return registry._module_dict[name]
            registry = registry.parent if scope is None else None
        raise UnknownNameError(f'{unknown_name_message(key, self.names(), f"{self.name} registry")} {OWN_COMPONENT}')

    def _import_until(self, name: str) -> None:
        """Import one location after the other until ``name`` is registered."""
        for location in () if self._imported else self._locations:
            if name in self._module_dict:
                return
            importlib.import_module(location)

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build ``cfg`` as MMEngine does; where no default scope is set, ``restorekit`` is it for this call.

        So a component of MMEngine or mmcv that builds others through MMEngine's registries finds ours as well.

        Raises:
            InputTypeError: If ``cfg`` is no dict with a ``type``, or its arguments are not those of the component.
        """
        self._check(cfg, kwargs.get('default_args'))
        scope = _root.DefaultScope.get_current_instance()
        if scope is not None and scope.scope_name != 'mmengine':
            return super().build(cfg, *args, **kwargs)
        with _root.DefaultScope.overwrite_default_scope('restorekit'):
            return super().build(cfg, *args, **kwargs)

    def _check(self, cfg: Any, defaults: dict[str, Any] | None) -> None:
        if not isinstance(cfg, dict) and not hasattr(cfg, '_cfg_dict'):
            raise InputTypeError(f"a {self.name} is described by a dict with a 'type', but got {str(cfg)[:100]!r}")
        given = {**(defaults or {}), **dict(cfg.items())}
        kind = given.pop('type', None)
        if not isinstance(kind, str) and not callable(kind):
            raise InputTypeError(f"a {self.name} is described by a dict with a 'type', the name of a component, "
                                 f'but got {str(cfg)[:100]}')
        component = self.get(kind) if isinstance(kind, str) else kind
        scope = given.pop('_scope_', None)
        if scope is not None and not isinstance(scope, str):
            raise InputTypeError(f'_scope_ is the name of a library, such as mmengine, but got {scope!r}')
        try:
            signature = inspect.signature(component)
        except (TypeError, ValueError):  # of a builtin
            return
        try:
            signature.bind(**given)
        except TypeError as error:
            raise InputTypeError(f'{kind if isinstance(kind, str) else component.__name__}: {error}') from error

    def __contains__(self, key: str) -> bool:
        name = self.split_scope_key(key)[1]
        self._import_until(name)
        return name in self._module_dict or name in self.names()


def _child(name: str, *modules: str, **options: Any) -> Registry:
    return Registry(name.lower().rstrip('s').replace('_', ' '), parent=getattr(_root, name), scope='restorekit',
                    locations=[f'restorekit.{module}' for module in modules], **options)


# networks first: to restore an image, no more is imported than what its network is made of
_PARTS = ('networks', 'encoders', 'decoders', 'losses', 'discriminators', 'preprocessor', 'restorers')
MODELS = _child('MODELS', *(f'models.{part}' for part in _PARTS),
                build_func=_root.build_from_cfg)  # MMEngine's own imports mmengine.model
DATASETS = _child('DATASETS', 'datasets')
DATA_SAMPLERS = _child('DATA_SAMPLERS', 'datasets')
TRANSFORMS = _child('TRANSFORMS', 'datasets')
METRICS = _child('METRICS', 'evaluation')
RUNNERS = _child('RUNNERS', 'engine')
LOOPS = _child('LOOPS', 'engine')
HOOKS = _child('HOOKS', 'engine', 'visualization')
OPTIMIZERS = _child('OPTIMIZERS', 'engine')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS', 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS', 'engine')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS', 'engine')
MODEL_WRAPPERS = _child('MODEL_WRAPPERS', 'engine')
VISUALIZERS = _child('VISUALIZERS', 'visualization')
VISBACKENDS = _child('VISBACKENDS', 'visualization')
EVALUATOR = _child('EVALUATOR', 'evaluation')
LOG_PROCESSORS = _child('LOG_PROCESSORS', 'engine')
WEIGHT_INITIALIZERS = _child('WEIGHT_INITIALIZERS', 'models.initialisation')
FUNCTIONS = _child('FUNCTIONS', 'datasets')
DEGRADATIONS = Registry('degradation', scope='restorekit', locations=['restorekit.degradations'])

"""Finding mistakes in a config before anything is built, with the nearest valid name."""

import importlib.util
import inspect
import multiprocessing
import re
import sys

from mmengine import registry as root_registries
from mmengine.registry import Registry
from torch.utils.data import Dataset

from restorekit import registry as registries
from restorekit.config import ConfigError, import_modules
from restorekit.messages import MissingDependencyError, did_you_mean, nearest, unknown_name_message

from .unread_keys import check_unread_keys
from .value_check import check_components, check_kinds, check_values

# what MMEngine's Runner and restorekit read at the top level of a config
TOP_LEVEL_KEYS = frozenset("""
    model work_dir train_dataloader val_dataloader test_dataloader train_cfg val_cfg test_cfg auto_scale_lr
    optim_wrapper param_scheduler val_evaluator test_evaluator default_hooks custom_hooks data_preprocessor
    load_from resume launcher env_cfg log_processor log_level visualizer default_scope randomness experiment_name
    model_wrapper_cfg custom_imports sync_bn find_unused_parameters load_matching compile activation_checkpointing
    efficient_conv_bn_eval phases data_root runner_type
    """.split())  # noqa: SIM905 a list of names reads better than a tower of quotes
PHASE_KEYS = frozenset({'frozen', 'init_from', 'continue_training'})
_NOT_KEYWORDS = frozenset({'type', '_scope_', '_delete_'})
_BY_THE_RUNNER = frozenset({'optimizer', 'param_name', 'epoch_length'})  # what a scheduler is given by it
_CLIP_GRAD = frozenset(['max_norm', 'norm_type', 'error_if_nonfinite', 'foreach', 'clip_value'])
_PARAMWISE = frozenset({'custom_keys', 'lr_mult', 'decay_mult', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult',
                        'dwconv_decay_mult', 'flat_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate',
                        'discriminator'})
#: Backends of MMEngine that log to another package.
_TRACKERS = dict(MLflowVisBackend='mlflow', WandbVisBackend='wandb', AimVisBackend='aim', ClearMLVisBackend='clearml',
                 NeptuneVisBackend='neptune', DVCLiveVisBackend='dvclive')
_DEFAULT_HOOKS = frozenset({'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint',
                            'gradients', 'embeddings', 'broken_files', 'schedule_free'})


def check_config(cfg, where, phase=False):
    """Check the keys, component names and arguments of a config.

    Args:
        cfg (Config | dict): The config, as it will be run.
        where (str): Its file (and phase), for messages.
        phase (bool): Whether the keys ``frozen`` and ``init_from`` are allowed.

    Raises:
        ConfigError: At the first mistake.
    """
    check_kinds(cfg, where)
    if cfg.get('custom_imports'):
        import_modules(cfg['custom_imports'], where)
    known_keys = TOP_LEVEL_KEYS | (PHASE_KEYS if phase else frozenset())
    for key in cfg:
        near = nearest(key, known_keys, n=1, cutoff=0.8)
        if key not in known_keys and near:
            raise ConfigError(f'{where}: nothing reads the top-level key {key!r}; did you mean {near[0]!r}?')
    check_unread_keys(cfg, where)
    _check_scope(cfg.get('default_scope'), where)
    hooks = cfg.get('default_hooks') or {}
    _check_known({name: hook for name, hook in hooks.items() if hook is not None and 'type' not in hook},
                 _DEFAULT_HOOKS, 'default_hooks', where)
    components = _components()
    for place, known in _untyped():
        node = cfg
        for key in place.split('.'):
            node = node.get(key) if isinstance(node, dict) or node is cfg else None
        if isinstance(node, dict) and 'type' not in node:
            _check_known(node, known, place, where)
    _check_clipping((cfg.get('optim_wrapper') or {}).get('clip_grad'), where)
    _check_multipliers((cfg.get('optim_wrapper') or {}), where)
    _check_randomness(cfg, where)
    _check_loaders(cfg, where)
    _check_loops(cfg, where)
    for key, value in cfg.items():
        if key not in ('phases', 'env_cfg', 'custom_imports'):
            _check(value, key, where, components, key in known_keys)  # others are the config's own variables
    _check_trackers(cfg, where)
    check_components(cfg, where)  # after the names, whose errors suggest the nearest


def _check_scope(scope, where):
    """Refuse a scope that no imported project has."""
    known = {'mmengine', *(name for registry in vars(root_registries).values() if isinstance(registry, Registry)
                           for name in registry.children)}
    if scope is not None and scope not in known:
        raise ConfigError(f'{where}: default_scope={scope!r} is the name of no project that is imported '
                          f'({", ".join(sorted(known))}); leave it out, and name the project in custom_imports')


def _check_multipliers(wrapper, where):
    """Check the keys of ``paramwise_cfg``, of which MMEngine's constructor reads what it knows and no more."""
    known = wrapper.get('constructor') in (None, 'DefaultOptimWrapperConstructor', 'TrainableOptimWrapperConstructor',
                                           'AdversarialOptimWrapperConstructor')
    paramwise, place = wrapper.get('paramwise_cfg'), 'optim_wrapper.paramwise_cfg'
    if not known or paramwise is None:
        return
    if not isinstance(paramwise, dict):
        raise ConfigError(f'{where}: {place} must be a dict, but got {paramwise!r}')
    _check_known(paramwise, _PARAMWISE, place, where)
    options = set()
    if isinstance(wrapper.get('optimizer'), dict) and isinstance(wrapper['optimizer'].get('type'), str):
        options = _keywords(registries.OPTIMIZERS.get(wrapper['optimizer']['type']))[0] - {'params'}
    for name, node in (paramwise.get('custom_keys') or {}).items():
        if not isinstance(node, dict):
            raise ConfigError(f'{where}: {place}.custom_keys[{name!r}] must be a dict such as dict(lr_mult=0.1), but '
                              f'got {node!r}')
        _check_known(node, {'lr_mult', 'decay_mult', *options}, f'{place}.custom_keys[{name!r}]', where)


def _check_randomness(cfg, where):
    """Check what MMEngine would find out while it builds the runner: seed, start of workers, scale of the rate."""
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2 ** 32):
        raise ConfigError(f'{where}: randomness.seed must be a whole number from 0 to {2 ** 32 - 1}, but got {seed!r}')
    method = ((cfg.get('env_cfg') or {}).get('mp_cfg') or {}).get('mp_start_method')
    if method is not None and method not in multiprocessing.get_all_start_methods():
        raise ConfigError(f'{where}: env_cfg.mp_cfg.mp_start_method must be one of '
                          f'{", ".join(map(repr, multiprocessing.get_all_start_methods()))}, but got {method!r}')
    scale = cfg.get('auto_scale_lr') or {}
    if scale.get('enable') and not scale.get('base_batch_size'):
        raise ConfigError(f'{where}: auto_scale_lr.enable=True needs base_batch_size, the batch size that the learning '
                          'rate is meant for')


def _check_loaders(cfg, where):
    """Check what torch's loader would refuse while it is built."""
    for split in ('train', 'val', 'test'):
        loader, place = cfg.get(f'{split}_dataloader') or {}, f'{where}: {split}_dataloader'
        if loader.get('shuffle') is not None and loader.get('sampler') is not None:
            raise ConfigError(f'{place}.shuffle={loader["shuffle"]!r} contradicts its sampler, which decides the '
                              f'order; say sampler=dict(shuffle={loader["shuffle"]!r})')
        for key, least in (('batch_size', 1), ('num_workers', 0)):
            value = loader.get(key)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise ConfigError(f'{place}.{key} must be a whole number of at least {least}, but got {value!r}')


def _check_loops(cfg, where):
    """Refuse a loop of another kind, which would train on the validation set or measure and report nothing."""
    from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, TestLoop, ValLoop

    from .evaluation_loop import EvaluationLoop
    kinds = dict(train_cfg=(IterBasedTrainLoop, EpochBasedTrainLoop), val_cfg=(ValLoop,),
                 test_cfg=(TestLoop, EvaluationLoop))
    for key, right in kinds.items():
        name = (cfg.get(key) or {}).get('type')
        loop = registries.LOOPS.get(name) if isinstance(name, str) else name
        wrong = tuple(kind for other, found in kinds.items() if other != key for kind in found)
        if inspect.isclass(loop) and issubclass(loop, wrong) and not issubclass(loop, right):
            due = next(other for other, found in kinds.items() if issubclass(loop, found))
            raise ConfigError(f'{where}: {key}.type={loop.__name__} is a loop for {due}; leave the type out, or give '
                              f'one derived from {" or ".join(kind.__name__ for kind in right)}')


def _check_clipping(node, where):
    """Check that gradient clipping has the arguments of its type, which torch would miss in the first iteration."""
    if not isinstance(node, dict):
        return
    kind, place = node.get('type', 'norm'), f'{where}: optim_wrapper.clip_grad'
    if kind not in ('norm', 'value'):
        raise ConfigError(f"{place}.type must be 'norm' or 'value', but got {kind!r}")
    _check_known(node, _CLIP_GRAD, 'optim_wrapper.clip_grad', where)
    needed, other = ('max_norm', 'value') if kind == 'norm' else ('clip_value', 'norm')
    foreign = [key for key in node
               if key not in ('type', 'foreach', '_delete_') and (key == 'clip_value') == (kind == 'norm')]
    if foreign:
        raise ConfigError(f'{place}: {foreign[0]} is for type={other!r} and has no effect with type={kind!r}; drop it, '
                          f'or give type={other!r}')
    if node.get(needed) is None:
        raise ConfigError(f'{place} of type={kind!r} needs {needed}')


def _check_trackers(cfg, where):
    """Refuse a backend of the visualizer whose package is not installed."""
    backends = (cfg.get('visualizer') or {}).get('vis_backends') or []
    if not isinstance(backends, (list, tuple)):
        raise ConfigError(f"{where}: visualizer.vis_backends must be a list of dicts with a 'type', but got "
                          f'{backends!r}')
    for i, backend in enumerate(backends):
        if isinstance(backend, str):
            raise ConfigError(f"{where}: visualizer.vis_backends[{i}] must be a dict with a 'type', but got "
                              f'{backend!r}')
        name = str(backend.get('type')).rpartition('.')[2] if isinstance(backend, dict) else None
        module = _TRACKERS.get(name)
        if module and module not in sys.modules and importlib.util.find_spec(module) is None:
            raise MissingDependencyError(f'{where}: visualizer.vis_backends[{i}]: {name} needs {module}, which is not '
                                         f'installed: pip install {module}')


def _untyped():
    """The dicts of a config that have no ``type``, with the keys their readers take."""
    from mmengine.optim import OptimWrapper
    from mmengine.runner import LogProcessor, Runner
    from mmengine.visualization import Visualizer
    from torch.utils.data import DataLoader
    loader = {*inspect.signature(DataLoader.__init__).parameters, 'num_batch_per_epoch'}
    yield from ((f'{name}_dataloader', loader) for name in ('train', 'val', 'test'))
    yield 'randomness', {*inspect.signature(Runner.set_randomness).parameters}
    yield 'optim_wrapper', {*inspect.signature(OptimWrapper.__init__).parameters, 'constructor', 'paramwise_cfg'}
    yield 'optim_wrapper.clip_grad', _CLIP_GRAD
    yield 'log_processor', _keywords(LogProcessor)[0]
    yield 'visualizer', _keywords(Visualizer)[0]
    yield 'env_cfg', {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'}
    yield 'env_cfg.mp_cfg', {'mp_start_method', 'opencv_num_threads'}


def _check_known(node, known, place, where):
    for key in node:
        if key not in known and key not in _NOT_KEYWORDS:
            near = nearest(key, known, n=1, cutoff=0.5)
            hint = f'did you mean {near[0]!r}?' if near else f'it takes {", ".join(sorted(known - {"self"}))}'
            raise ConfigError(f'{where}: {place} has no {key!r}; {hint}')


def _components():
    """Every registered name and its class or function, ours before MMEngine's."""
    import mmengine.evaluator  # noqa: F401  these register what a config may name
    import mmengine.hooks
    import mmengine.optim
    import mmengine.runner
    import mmengine.visualization  # noqa: F401
    found = {}
    for module in (root_registries, registries):
        for registry in vars(module).values():
            if isinstance(registry, Registry):
                registry.import_from_location()
                found.update(registry.module_dict)
                if module is root_registries:
                    found.update({f'{scope}.{name}': component for name, component in registry.module_dict.items()
                                  for scope in ('mmengine', 'mmcv')})
    return found


def _check(node, place, where, components, values):
    if isinstance(node, dict):
        name = node.get('type')
        if name is not None and not isinstance(name, str) and not callable(name):
            raise ConfigError(f"{where}: {place}.type must be a component's name, but got {name!r}")
        if isinstance(name, str) and place != 'optim_wrapper.clip_grad':  # whose type is no component
            component = components.get(name) or components.get(name.removeprefix('restorekit.'))
            if component is None:
                kind, known = _of_the_kind(place, components)
                message = unknown_name_message(name, known, kind)
                raise ConfigError(f'{where}: {place}: {message} {registries.OWN_COMPONENT}')
            _check_keywords(node, component, place, where)
            if values:
                check_values(node, component, place, where)
        for key, value in node.items():
            _check(value, f'{place}.{key}', where, components, values)
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            _check(value, f'{place}[{i}]', where, components, values)


# key of a config -> what stands there: the registry of restorekit, and the folder of its models
_KINDS = {
    'losses': ('MODELS', 'models.losses'), 'reweighter': ('MODELS', 'models.losses'),
    'alignment': ('MODELS', 'models.losses'), 'consistency': ('MODELS', 'models.losses'),
    'network': ('MODELS', 'models.networks'), 'encoder': ('MODELS', 'models.encoders'),
    'decoder': ('MODELS', 'models.decoders'), 'model': ('MODELS', 'models.restorers'),
    'data_preprocessor': ('MODELS', 'models.preprocessor'), 'pipeline': ('TRANSFORMS', ''),
    'transforms': ('TRANSFORMS', ''), 'degradation': ('DEGRADATIONS', ''), 'perturbation': ('DEGRADATIONS', ''),
    'children': ('DEGRADATIONS', ''), 'child': ('DEGRADATIONS', ''), 'sampler': ('DATA_SAMPLERS', ''),
    'dataset': ('DATASETS', ''), 'datasets': ('DATASETS', ''), 'source': ('DATASETS', ''), 'target': ('DATASETS', ''),
    'val_evaluator': ('METRICS', ''), 'test_evaluator': ('METRICS', ''), 'train_cfg': ('LOOPS', ''),
    'val_cfg': ('LOOPS', ''), 'test_cfg': ('LOOPS', ''), 'default_hooks': ('HOOKS', ''), 'custom_hooks': ('HOOKS', ''),
    'optim_wrapper': ('OPTIM_WRAPPERS', ''), 'optimizer': ('OPTIMIZERS', ''),
    'param_scheduler': ('PARAM_SCHEDULERS', ''), 'visualizer': ('VISUALIZERS', ''), 'vis_backends': ('VISBACKENDS', ''),
    'log_processor': ('LOG_PROCESSORS', '')}


def _of_the_kind(place, components):
    """The name of the registry, and the names in it, that may stand at ``place``."""
    keys = [key for key in reversed(re.findall(r'\w+', place)) if key in _KINDS]
    if not keys:
        return 'registries', components
    registry, folder = _KINDS[keys[0]]
    registry = getattr(registries, registry)
    names = {name: registry.get(name) for name in registry.names()}
    kin = [name for name, component in names.items() if folder in getattr(component, '__module__', '') or
           not getattr(component, '__module__', '').startswith(('restorekit.', 'mmengine.', 'torch.'))]
    if not folder:
        return f'{registry.name} registry', list(names)
    return f'{registry.name} registry ({folder.rpartition(".")[2]})', kin


def check_modules(cfg, model, where):
    """Refuse names in ``activation_checkpointing`` that are no modules of the model."""
    names = cfg.get('activation_checkpointing') or ()
    modules = dict(model.named_modules())
    for name in [names] if isinstance(names, str) else names:
        if name not in modules:
            raise ConfigError(f'{where}: activation_checkpointing: the model has no module {name!r}; '
                              + did_you_mean(name, modules, 'names are as those of frozen'))


def check_custom_keys(cfg, model, where):
    """Refuse a key of ``paramwise_cfg.custom_keys`` that is part of no parameter's name, which would do nothing."""
    keys = ((cfg.get('optim_wrapper') or {}).get('paramwise_cfg') or {}).get('custom_keys') or {}
    names = [name for name, _ in model.named_parameters()]
    for key in keys:
        if not any(key in name for name in names):
            parts = dict.fromkeys(name.rsplit('.', depth)[0] for name in names for depth in (1, 2, 3))
            raise ConfigError(f'{where}: optim_wrapper.paramwise_cfg.custom_keys: no parameter has {key!r} in its '
                              'name; ' + did_you_mean(key, parts, f'the first is {names[0]!r}' if names else ''))


def _check_keywords(node, component, place, where):
    accepted, closed = _keywords(component)
    if place == 'optim_wrapper':
        accepted = {*accepted, 'constructor', 'paramwise_cfg'}
    elif place.startswith('param_scheduler'):
        accepted = {*accepted, 'convert_to_iter_based'} - _BY_THE_RUNNER
    for key in node:
        if key in accepted or key in _NOT_KEYWORDS:
            continue
        near = nearest(key, accepted, n=3, cutoff=0.5 if closed else 0.85)
        if closed or near:
            hint = f'did you mean {" or ".join(map(repr, near))}?' if near else \
                f'it takes {", ".join(sorted(accepted))}'
            raise ConfigError(f'{where}: {place}: {component.__name__} takes no {key!r}; {hint}')
    if inspect.isclass(component) and issubclass(component, Dataset):  # of others, MMEngine adds some
        missing = [name for name, parameter in inspect.signature(component).parameters.items()
                   if parameter.default is parameter.empty and name not in node
                   and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)]
        if missing:
            raise ConfigError(f'{where}: {place}: {component.__name__} needs {" and ".join(missing)}')


def _keywords(component):
    """Names of the keyword arguments a component takes, and whether these are all.

    ``**kwargs`` of restorekit's and MMEngine's classes go to their base; those of other classes may go anywhere.
    """
    names = set()
    for cls in component.__mro__ if inspect.isclass(component) else [component]:
        init = cls if not inspect.isclass(cls) else cls.__dict__.get('__init__') or cls.__dict__.get('__new__')
        if init is None or cls is object:
            continue
        try:
            parameters = inspect.signature(getattr(init, '__func__', init)).parameters.values()
        except (TypeError, ValueError):
            return names, False
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} - {'self', 'cls'}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names, True
        if not cls.__module__.startswith(('restorekit.', 'mmengine.')):
            return names, False
    return names, False

"""Top-level keys of a config that nothing reads, although their names say what they were to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restorekit.config import ConfigError
from restorekit.messages import did_you_mean

#: Keys of MMCV 1.x, and where it is said now.
_OLD = {
    'optimizer_config': 'optim_wrapper.clip_grad and the like', 'lr_config': 'param_scheduler',
    'runner': 'train_cfg=dict(max_iters=...)', 'total_iters': 'train_cfg=dict(max_iters=...)',
    'total_epochs': "train_cfg=dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=...)",
    'evaluation': 'val_evaluator, and train_cfg.val_interval', 'checkpoint_config': 'default_hooks.checkpoint',
    'log_config': 'default_hooks.logger, and visualizer.vis_backends', 'resume_from': 'load_from with resume=True'}
#: Arguments that are easily taken for top-level keys, and where they belong.
_MEANT = {
    'max_iters': 'train_cfg.max_iters', 'max_epochs': 'train_cfg.max_epochs', 'val_interval': 'train_cfg.val_interval',
    'lr': 'optim_wrapper.optimizer.lr', 'optimizer': 'optim_wrapper.optimizer', 'clip_grad': 'optim_wrapper.clip_grad',
    'weight_decay': 'optim_wrapper.optimizer.weight_decay', 'seed': 'randomness.seed', 'network': 'model.network',
    'losses': 'model.losses', 'batch_size': 'train_dataloader.batch_size',
    'num_workers': 'train_dataloader.num_workers'}
#: Of the run, which all its phases share.
_OF_THE_RUN = ('phases', 'work_dir', 'resume', 'launcher', 'runner_type', 'experiment_name')
_STARTS = ('previous', 'best')  # what init_from may say besides


def check_unread_keys(cfg: Any, where: str) -> None:
    """Refuse a top-level key of MMCV 1.x; other keys may be a config's own variables.

    Args:
        cfg (Config | dict): A complete config.
        where (str): Its file (and phase), for messages.

    Raises:
        ConfigError: For the first one; the message says where its value belongs.

    Example:
        >>> check_unread_keys(dict(train_cfg=dict(max_iters=8), max_iters=8), 'a.py')
    """
    for key, value in cfg.items():
        if key in _OLD and value is not None:
            raise ConfigError(f'{where}: nothing reads the key {key!r} of MMCV 1.x; say {_OLD[key]}')
    given, used = (node if isinstance(node, dict) else {} for node in
                   (cfg.get('optimizer'), (cfg.get('optim_wrapper') or {}).get('optimizer')))
    if given.get('type', used.get('type')) != used.get('type'):
        raise ConfigError(f'{where}: nothing reads the top-level key {"optimizer"!r}, and the optimizer is '
                          f'{used.get("type")}; did you mean optim_wrapper.optimizer?')


def check_option_keys(options: Mapping[str, Any], where: str) -> None:
    """Refuse an option that sets a variable, which comes too late: the config has used the value already.

    Raises:
        ConfigError: For the first one; the message says what was meant.

    Example:
        >>> check_option_keys({'train_cfg.max_iters': 8}, 'a.py')
    """
    for key in options:
        if key in _MEANT or key in _OLD:
            meant = _MEANT.get(key) or _OLD[key]
            raise ConfigError(f'{where}: nothing reads the option {key!r}; did you mean {meant}?')


def check_phase(name: Any, override: dict[str, Any], known: frozenset[str], where: str) -> None:
    """Refuse a name of a phase that is no name of a folder, and a key of it that nothing reads.

    A phase has no variables, and its work dir and the like are those of the run.

    Raises:
        ConfigError: For the first one; the message gives the nearest.
    """
    if not isinstance(name, str) or not name.isprintable() or name != name.strip(' ') or name.startswith('.') or \
            name in ('', *_STARTS) or {'/', '\\', ':'} & {*name}:
        raise ConfigError(f'{where}: the name of a phase becomes that of its folder and may stand in init_from, so it '
                          'is text without / and \\ that does not begin with a dot, and is not '
                          f'{" or ".join(_STARTS)}; but got {name!r}')
    for key in override:
        if key in _OF_THE_RUN:
            raise ConfigError(f'{where}: {key} has no effect in a phase; give it at the top level of the config')
        if key not in known:
            hint = f'did you mean {_MEANT[key]}?' if key in _MEANT else \
                did_you_mean(key, known, 'a phase takes the keys of a config, and frozen, init_from and '
                                         'continue_training')
            raise ConfigError(f'{where}: nothing reads the key {key!r}; {hint}')

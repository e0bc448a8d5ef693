"""Checks of phases that go on where others ended, before the first one starts."""

from restorekit.config import ConfigError

from .completion import schedulers


def check_continuation(name, configs, models, where):
    """Refuse ``continue_training`` where what is trained, or with what, is not the same as in the phase before.

    Args:
        name (str): The phase.
        configs (dict[str, Config]): The complete configs of all phases, in order.
        models (dict[str, nn.Module]): Their models.
        where (str): The config's file, for messages.

    Raises:
        ConfigError: If it is not.
    """
    cfg, names = configs[name], list(configs)
    if not cfg.get('continue_training'):
        return
    where = f'{where}, phase {name!r}: continue_training=True'
    if names.index(name) == 0:
        raise ConfigError(f'{where} in the first phase: there is none before it')
    before = names[names.index(name) - 1]
    if cfg.get('init_from', 'previous') not in ('previous', before):
        raise ConfigError(f'{where} goes on with the weights of phase {before!r}, but got '
                          f'init_from={cfg.init_from!r}')
    units = ['epochs' if part.train_cfg.get('max_epochs') else 'iterations' for part in (configs[before], cfg)]
    if units[0] != units[1]:
        raise ConfigError(f'{where}: one schedule runs over both phases, but {before!r} counts {units[0]} and '
                          f'{name!r} {units[1]}; give both train_cfg.max_iters, or both max_epochs')
    if units[0] == 'epochs':
        for place, node in schedulers(cfg.get('param_scheduler'), 'param_scheduler'):
            if not node.get('by_epoch', True) or node.get('convert_to_iter_based'):
                raise ConfigError(f'{where}: {place} counts iterations, of which an epoch may have another number '
                                  'in each phase; leave by_epoch and convert_to_iter_based out, or give '
                                  'max_iters')
    kinds = [[(part.optim_wrapper.get(key) if key else part.optim_wrapper.optimizer.get('type'))
              for key in ('constructor', 'paramwise_cfg', None)] for part in (configs[before], cfg)]
    trained = [[(key, tuple(p.shape)) for key, p in models[part].named_parameters() if p.requires_grad]
               for part in (before, name)]
    if kinds[0] != kinds[1] or trained[0] != trained[1]:
        other = ', '.join(sorted({key for key, _ in set(trained[0]) ^ set(trained[1])})[:3])
        raise ConfigError(f'{where} needs the optimizer and the trained parameters of phase {before!r}; '
                          + (f'they differ in {other}' if other else 'the optimizers differ'))


def check_start(name, configs, where, only, best):
    """Refuse a start from weights that no phase will have left, or from two files.

    Args:
        name (str): The phase.
        configs (dict[str, Config]): The complete configs of all phases, in order.
        where (str): The config's file, for messages.
        only (str | None): The phase that is run alone.
        best (Callable): Returns the best checkpoint that the phase of a name has left, or None.

    Raises:
        ConfigError: If there will be no such weights.
    """
    cfg, names = configs[name], list(configs)
    init_from, position = cfg.get('init_from', 'previous'), names.index(name)
    where = f'{where}, phase {name!r}: init_from={init_from!r}'
    if position == 0 and init_from == 'best':
        raise ConfigError(f'{where} in the first phase: there is none before it; give a file, or leave it out')
    if position == 0 and init_from not in ('previous', *names) and cfg.get('load_from'):
        raise ConfigError(f'{where} has no effect beside load_from={cfg.load_from!r}, which the first phase starts '
                          'from too; drop one of the two')
    if init_from != 'best' or (only is not None and cfg.get('load_from')):
        return
    before = configs[names[position - 1]]
    kept = ((before.get('default_hooks') or {}).get('checkpoint') or {}).get('save_best')
    if not kept or before.get('val_dataloader') is None:
        what = 'default_hooks.checkpoint.save_best' if before.get('val_dataloader') is not None else 'validation'
        if best(names[position - 1]) is None:
            raise ConfigError(f'{where} needs the best checkpoint of phase {names[position - 1]!r}, which has no '
                              f'{what}; set it, or start from the last weights with init_from=\'previous\'')

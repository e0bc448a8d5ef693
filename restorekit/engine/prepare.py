"""One way to look through a config before anything runs."""

import copy

import torch

from restorekit.registry import MODELS

from .completion import complete_config
from .config_check import check_config, check_custom_keys, check_modules
from .data_paths import check_paths, join_data_root
from .optim import check_optimizer


def prepare(cfg, where, phase=False, splits=('train', 'val', 'test'), schedule_length=None):
    """Check a config and make it ready to run, in place; train, test, browse-dataset and check-data all call this.

    Its names and arguments are checked, the data root is joined before the paths of its datasets, these are looked
    for, ``frozen`` becomes an argument of the model, and the model is built once on the meta device, where it needs no
    memory, so that a mistake in the last phase does not wait for the others.

    Args:
        cfg (Config): The complete config of one run.
        where (str): Its file (and phase), for messages.
        phase (bool): Whether the keys ``frozen`` and ``init_from`` are allowed.
        splits (Sequence[str]): Look for the folders of these datasets.
        schedule_length (int, optional): Iterations that the schedule runs over; default: those of the loop.

    Returns:
        BaseModel | None: The model on the meta device; None if the config has none.

    Raises:
        ConfigError: At the first mistake.
        FileNotFoundError: If a folder of the data is missing.
    """
    check_config(cfg, where, phase=phase)
    complete_config(cfg, where, schedule_length)
    join_data_root(cfg)
    check_paths(cfg, where, splits)
    if 'frozen' in cfg and cfg.get('model') is not None:
        cfg.model.frozen = cfg.pop('frozen')
    if cfg.get('model') is None:
        return None
    model = build_on_meta(cfg.model)
    check_custom_keys(cfg, model, where)
    check_modules(cfg, model, where)
    check_optimizer(cfg, where)
    return model


def build_on_meta(model):
    """Build the config of a model without memory for its weights, to find mistakes; returns it.

    A component that looks at the values of its weights while it is built cannot be built so, and is built in full.
    """
    try:
        with torch.device('meta'):
            return MODELS.build(copy.deepcopy(model))
    except RuntimeError:  # what torch answers to a look at values that are not there
        return MODELS.build(copy.deepcopy(model))

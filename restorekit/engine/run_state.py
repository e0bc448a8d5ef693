"""The record that a run keeps of its phases in its work dir."""

import json

from restorekit.config import ConfigError
from restorekit.messages import InputError

from .value_check import check_kinds

STATE_FILE = 'run_state.json'


def read_state(path):
    """Return the state of a run: ``phases`` (name -> record of it) and ``configs``; no phases if there is no file.

    Args:
        path (Path): The file.

    Raises:
        ConfigError: If it is not such a record.
    """
    if not path.is_file():
        return dict(phases={})
    try:
        state = json.loads(path.read_text(encoding='utf-8'))
        _check_state(state)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f'{path} is not the state of a run ({error}); restore it, or start in '
                          'another --work-dir') from error
    return state


def _check_state(state):
    if not isinstance(state, dict) or not all(isinstance(state.get(key, {}), dict) for key in ('phases', 'configs')) \
            or 'phases' not in state:
        raise InputError("it is not a dict with dicts 'phases' and 'configs'")
    for name, cfg in state.get('configs', {}).items():
        check_kinds(cfg if isinstance(cfg, dict) else dict(model=cfg), f'config {name!r}')
    for name, record in state['phases'].items():
        if not isinstance(record, dict):
            raise InputError(f'its phase {name!r} is not a dict')
        for key in ('checkpoint', 'best_checkpoint'):
            if not isinstance(record.get(key), (str, type(None))):
                raise InputError(f'{key} of its phase {name!r} is not a name')
        numbers = [record.get(key) for key in ('iterations', 'seconds', 'align_grad_share', 'align_loss')]
        metrics = record.get('metrics', {})
        numbers += metrics.values() if isinstance(metrics, dict) else ['']
        if not all(isinstance(number, (int, float, type(None))) for number in numbers):
            raise InputError(f'its phase {name!r} has figures that are not numbers')

"""The file in a work dir that says which phases have been trained, and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from restorekit.config import ConfigError
from restorekit.files.atomic import atomic_write_text
from restorekit.messages import InputError

STATE_FILE = 'run_state.json'


def read_state(path: Path) -> dict[str, Any]:
    """Return the state of a run: ``phases``, a record by name (``finished``, ``iterations``, ``checkpoint``,
    ``best_checkpoint``, ``metrics``, ...), and ``configs``, what each was started with. Without a file there are none.

    Raises:
        ConfigError: If the file is not such a state.
    """
    if not path.is_file():
        return dict(phases={})
    try:
        state = json.loads(path.read_text(encoding='utf-8'))
        _check(state)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f'{path} is not the state of a run ({error}); restore it, or start in another --work-dir'
                          ) from error
    return dict(state)


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write the state of a run, whole or not at all."""
    atomic_write_text(json.dumps(state, indent=2) + '\n', str(path))


def _check(state: Any) -> None:
    if not isinstance(state, dict) or not all(isinstance(state.get(key, {}), dict) for key in ('phases', 'configs')) \
            or 'phases' not in state:
        raise InputError("it is not a dict with dicts 'phases' and 'configs'")
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

"""Paths in checkpoints and records: names below the work dir, so that what is read from a file leads nowhere else."""

from __future__ import annotations

import json
import os.path as osp
import re
from typing import Any

from restorekit.config import config_to_json

_BEST = re.compile(r'best_[^/\\\0]*\.pth')
_LEAVES_OUT = ('data_root', 'resume', 'experiment_name')


def last_name(path: Any) -> str | None:
    r"""Return the last part of a stored path, of whichever system; None for what is none.

    Example:
        >>> last_name('/a/b/iter_2.pth'), last_name('C:\\b\\iter_2.pth'), last_name('a/..'), last_name(3)
        ('iter_2.pth', 'iter_2.pth', None, None)
    """
    if not isinstance(path, str):
        return None
    name = re.split(r'[/\\]', path)[-1]
    return name if name.strip('. ') and '\0' not in name else None


def stored_info(info: dict[str, Any], folder: str | None = None) -> dict[str, Any]:
    """Return the runtime information of a message hub with names in the place of paths, and whole steps only.

    What of it is neither is left out: the hook that makes room for new checkpoints removes what stands here. MMEngine's
    copy of the config, which is full of paths and read by nobody, is left out too.

    Args:
        info (dict): ``runtime_info`` of a message hub, as it is saved or as a file has it.
        folder (str, optional): Join the names to this folder: on loading.

    Example:
        >>> stored_info(dict(best_ckpt='/other/best_x.pth', keep_ckpt_ids=[2, '../x']), '/run')
        {'best_ckpt': '/run/best_x.pth', 'keep_ckpt_ids': [2]}
    """
    result = {}
    for key, value in info.items():
        if key == 'cfg':
            continue
        if key == 'last_ckpt' or key == 'best_ckpt' or str(key).startswith('best_ckpt_'):
            name = last_name(value)
            if name is None or (key != 'last_ckpt' and not _BEST.fullmatch(name)):
                continue
            value = name if folder is None else osp.join(folder, name)
        elif key in ('keep_ckpt_ids', 'cut_ckpt_ids'):
            value = [step for step in value if type(step) is int and step >= 0] if isinstance(value, list) else []
        result[key] = value
    return result


def stored_hub(hub: dict[str, Any], folder: str | None = None) -> dict[str, Any]:
    """Return the state of a message hub with the ``runtime_info`` of :func:`stored_info`; the arguments are the same.

    Example:
        >>> info, keys = dict(cfg='a = 1', iter=3), dict(cfg=True, iter=True)
        >>> stored_hub(dict(log_scalars={}, runtime_info=info, resumed_keys=keys))
        {'log_scalars': {}, 'runtime_info': {'iter': 3}, 'resumed_keys': {'iter': True}}
    """
    info = stored_info(hub['runtime_info'], folder)
    known = {*hub['log_scalars'], *info}
    return {**hub, 'runtime_info': info,
            'resumed_keys': {key: value for key, value in hub['resumed_keys'].items() if key in known}}


def portable_config(cfg: Any) -> str:
    """Return a config as JSON text without the places of this machine.

    Paths are relative to the data root, which is left out; of other absolute paths the last part is kept.

    Example:
        >>> from mmengine.config import ConfigDict
        >>> portable_config(ConfigDict(data_root='/data', work_dir='/home/me/run', set=dict(hazy_dir='/data/its/hazy')))
        '{"work_dir": "run", "set": {"hazy_dir": "its/hazy"}}'
    """
    data = json.loads(config_to_json(cfg))
    root = str(data.get('data_root') or '').rstrip('/')

    def shortened(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shortened(item) for key, item in value.items()}
        if isinstance(value, list):
            return [shortened(item) for item in value]
        if not isinstance(value, str):
            return value
        if root and (value == root or value.startswith(f'{root}/')):
            return value[len(root) + 1:] or '.'
        return osp.basename(value.rstrip('/')) if osp.isabs(value) else value
    return json.dumps({key: shortened(value) for key, value in data.items() if key not in _LEAVES_OUT})

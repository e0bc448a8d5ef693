"""The folders and files that the datasets of a config name."""

from pathlib import Path

from restorekit.messages import MissingFileError

PATH_SUFFIXES = ('_dir', '_file')


def check_paths(cfg, where, splits=('train', 'val', 'test')):
    """Check that the folders and files the datasets of a config name are there.

    Args:
        cfg (Config | dict): The config, its data root joined.
        where (str): Its file (and phase), for messages.
        splits (Sequence[str]): Look at these datasets only.

    Raises:
        FileNotFoundError: Names the folder looked for, the key, the config and the data root.
    """
    for loader in (f'{split}_dataloader' for split in splits):
        for place, key, path in _data_paths(cfg.get(loader), loader):
            if not Path(path).exists():
                root = cfg.get('data_root')
                hint = f'the data root is {root}' if root else 'no data root was given: pass --data-root FOLDER'
                raise MissingFileError(f'{where}: {place}.{key} looks for {Path(path).absolute()}, which is not '
                                       f'there; {hint}')


def join_data_root(cfg):
    """Join ``data_root`` before every relative path (a key ending in ``_dir`` or ``_file``) of the datasets."""
    root = cfg.get('data_root')
    if not root:
        return
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        _join(cfg.get(loader), str(root))


def _join(node, root):
    if isinstance(node, dict):
        for key, value in node.items():
            if str(key).endswith(PATH_SUFFIXES) and isinstance(value, str):
                node[key] = _joined(root, value)
            elif str(key).endswith(PATH_SUFFIXES) and isinstance(value, (list, tuple)):
                node[key] = [_joined(root, path) if isinstance(path, str) else path for path in value]
            else:
                _join(value, root)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _join(value, root)


def _joined(root, path):
    if '://' in path or path.startswith('/'):
        return path
    return f'{root.rstrip("/")}/{path}' if '://' in root else str(Path(root, path))


def _data_paths(node, place):
    """The places, keys and paths of what must be there on this machine."""
    if isinstance(node, dict):
        backend = node.get('backend_args')
        remote = isinstance(backend, dict) and backend.get('backend', 'local') not in ('local', 'lmdb')
        for key, value in node.items():
            if str(key).endswith(PATH_SUFFIXES) and isinstance(value, (str, list, tuple)):
                if not (remote and str(key).endswith('_dir')):
                    yield from ((place, key, path) for path in ([value] if isinstance(value, str) else value)
                                if isinstance(path, str) and '://' not in path)
            else:
                yield from _data_paths(value, f'{place}.{key}')
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _data_paths(value, f'{place}[{i}]')

"""Where configs lie: by path, by name, in an installed package or in the repository."""

from pathlib import Path

from mmengine.fileio import load

from restorekit.messages import MissingFileError, nearest

from .error import ConfigError

PACKAGE_ROOT = Path(__file__).resolve().parents[1]


def mim_root():
    """Return the folder that holds ``configs`` and ``model-index.yml``: ``restorekit/.mim`` of an installed wheel, else
    the root of the repository (an editable install builds no ``.mim``).

    Raises:
        FileNotFoundError: If neither has a ``configs`` folder.
    """
    installed, repository = PACKAGE_ROOT / '.mim', PACKAGE_ROOT.parent
    if (installed / 'configs').is_dir():
        return installed
    if (repository / 'configs').is_dir() and (repository / 'pyproject.toml').is_file():  # not site-packages/configs
        return repository
    raise MissingFileError(f'restorekit has no configs: neither {installed / "configs"} nor {repository / "configs"} '
                           'holds them. Install the wheel again, or work from a clone of the repository.')


def packaged_config(name):
    """Return the file of our config ``name`` (with or without ``.py``), None if there is none."""
    root = mim_root() / 'configs'
    return next((path for path in (root / name, root / f'{name}.py') if path.is_file()), None)


def package_file(name):
    """Return the file of our config ``name`` as text, as mmengine wants it."""
    path = packaged_config(name)
    if path is None:
        raise MissingFileError(f'restorekit::{name} is not among the configs in {mim_root() / "configs"}')
    return str(path)


def package_metainfo(name):
    """Return the model of our index whose config is ``name``; mmengine takes a ValueError to mean there is none."""
    root = mim_root()
    wanted = Path(package_file(name))
    index = root / 'model-index.yml'
    for metafile in load(index)['Import'] if index.is_file() else ():
        for model in load(root / metafile)['Models']:
            if 'Config' in model and root / model['Config'] == wanted:
                return {**model, 'Config': str(wanted)}  # absolute: mmengine joins it to a folder that may not exist
    raise ConfigError(f'no metafile names the config {name}')


def configs_root():
    """Return the folder of the configs that come with restorekit (of the installed package, else of the repository).

    Raises:
        FileNotFoundError: If there is none.
    """
    return mim_root() / 'configs'


def find_config(name):
    """Return the file of a config.

    Args:
        name (str | Path): A path; or a name below :func:`configs_root`, with or without ``.py`` and ``restorekit::``.

    Raises:
        FileNotFoundError: If there is none; the message gives the nearest names and the folder searched.

    Example:
        >>> find_config('cid/cid_quickstart').name  # doctest: +SKIP
        'cid_quickstart.py'
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path.resolve()
    wanted = str(name).removeprefix('restorekit::')
    found = packaged_config(wanted)
    if found is not None:
        return found
    raise MissingFileError(f'There is no config {str(name)!r}: neither a file (seen from {Path.cwd()}) nor a name in '
                            f'{configs_root()}. {_near_configs(wanted)}')


def _near_configs(wanted):
    root = configs_root()
    names = [file.relative_to(root).with_suffix('').as_posix() for file in sorted(root.rglob('*.py'))
             if '_base_' not in file.relative_to(root).parts]
    wanted = wanted.removesuffix('.py')
    stem = wanted.rpartition('/')[2]
    near = [known for known in names if known.rpartition('/')[2] == stem] or nearest(wanted, names)
    if not near:  # a right file in a wrong folder, misspelt
        stems = {known.rpartition('/')[2]: known for known in names}
        near = [stems[known] for known in nearest(stem, stems)]
    return f'Did you mean {" or ".join(map(repr, near))}?' if near else f'It has: {", ".join(names) or "none"}.'

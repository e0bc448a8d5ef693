"""Models that others published: by URL, or from the Hugging Face hub."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from restorekit.files.download import download, is_url
from restorekit.messages import InputError, MissingDependencyError, UnavailableError

HUB = 'hf://'


def is_remote(name: str) -> bool:
    """Return whether ``name`` is a URL or a model of the hub.

    Example:
        >>> is_remote('hf://user/haze'), is_remote('haze.safetensors')
        (True, False)
    """
    return is_url(name) or name.startswith(HUB)


def fetch_model(source: str) -> Path:
    """Return the local copy of a published model, a safetensors file whose hash was checked.

    Args:
        source (str): ``https://host/haze-0123abcd.safetensors``, whose name or ``#sha256=`` has the hash; or
            ``hf://user/repository`` with one such file in it; or ``hf://user/repository/file.safetensors``.

    Raises:
        InputError: If it is another kind of file: only safetensors are taken, since they cannot hold code.
        MissingDependencyError: If the hub is asked for and huggingface_hub is not installed.
        UnavailableError: If it cannot be had, or has another hash.
    """
    if is_url(source):
        if not source.partition('#')[0].partition('?')[0].endswith('.safetensors'):
            raise InputError(f'a model from elsewhere must be a .safetensors file, which cannot hold code, but got '
                             f'{source}')
        return download(source)
    path: Path = _from_hub(source.removeprefix(HUB))
    named = re.search(r'-([a-f0-9]{8,64})\.safetensors$', path.name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if named and not digest.startswith(named[1]):
        raise UnavailableError(f'{source}: the file {path.name} has the SHA-256 {digest[:16]}..., not that in its '
                               'name; it was changed or damaged')
    return path


def _from_hub(place: str) -> Path:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingDependencyError('hf:// needs huggingface_hub, which is not installed: '
                                     "pip install 'restorekit[hub]'") from error
    user, _, rest = place.partition('/')
    repository, _, name = rest.partition('/')
    if not user or not repository:
        raise InputError(f'a model of the hub is hf://user/repository, but got hf://{place}')
    try:
        if not name:
            files = [file for file in huggingface_hub.list_repo_files(f'{user}/{repository}')
                     if file.endswith('.safetensors')]
            if len(files) != 1:
                raise InputError(f'hf://{place} holds {len(files)} .safetensors files; name one: '
                                 f'hf://{user}/{repository}/FILE' + ''.join(f'\n  {file}' for file in files))
            name = files[0]
        if not name.endswith('.safetensors'):
            raise InputError(f'a model of the hub must be a .safetensors file, which cannot hold code, but got {name}')
        return Path(huggingface_hub.hf_hub_download(f'{user}/{repository}', name))
    except (huggingface_hub.errors.HfHubHTTPError, huggingface_hub.errors.LocalEntryNotFoundError, OSError) as error:
        raise UnavailableError(f'hf://{place} cannot be had: {error}') from error

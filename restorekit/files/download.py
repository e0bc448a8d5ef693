"""Downloads that are checked: every file has a known hash, arrives whole, and is kept under its URL and hash."""

from __future__ import annotations

import hashlib
import os
import re
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

from restorekit.messages import InputError, UnavailableError

from .atomic import atomic_write
from .names import file_name

ALLOW_INSECURE = 'RESTOREKIT_ALLOW_INSECURE'
TIMEOUT = 60  # seconds without a byte
_CHUNK = 1 << 20


def is_url(source: str | os.PathLike) -> bool:
    """Return whether ``source`` is an http or https URL."""
    return str(source).startswith(('http://', 'https://'))


def cache_dir() -> Path:
    """Return the folder of downloads: ``$RESTOREKIT_CACHE``, else ``restorekit`` in ``$XDG_CACHE_HOME`` or
    ``~/.cache``."""
    own = os.environ.get('RESTOREKIT_CACHE')
    return Path(own) if own else Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'restorekit'


def download(url: str, sha256: str | None = None, folder: str | os.PathLike | None = None,
             allow_insecure: bool | None = None) -> Path:
    """Return the local copy of a file, downloaded unless it is there already.

    The hash is ``sha256``, or what the URL says: ``https://host/net.pth#sha256=HEX`` (64 hex digits), or a file name
    that ends in ``-HEX.pth`` (at least 8 digits, the convention of torch.hub). The file is kept under a name made of
    the URL and the hash, so two files of one name never meet.

    Args:
        url (str): https URL; http only with ``allow_insecure``.
        sha256 (str, optional): Expected SHA-256, at least its first 8 hex digits.
        folder (str | Path, optional): Where copies are kept; default: :func:`cache_dir`.
        allow_insecure (bool, optional): Accept http. Default: whether ``RESTOREKIT_ALLOW_INSECURE=1`` is set.

    Returns:
        Path: The file.

    Raises:
        InputError: If no hash is known, or the URL is not https.
        UnavailableError: If the file cannot be downloaded, or has another hash; nothing is kept then.

    Example:
        >>> download('https://host/net.pth#sha256=' + 64 * '0')  # doctest: +SKIP
    """
    address, _, fragment = url.partition('#')
    name = Path(urlparse(address).path).name
    named = re.search(r'-(?=\d*[a-f])([a-f0-9]{8,64})\.', name)  # digits alone are a date
    expected = sha256 or (fragment.removeprefix('sha256=') if fragment.startswith('sha256=') else None) or \
        (named[1] if named else None)
    if expected is None:
        raise InputError(f'{url} has no known hash, so what arrives could not be checked; add it to the URL: '
                         f'{address}#sha256=HEX, with the output of sha256sum for the file you trust')
    expected = expected.lower()
    if not re.fullmatch('[0-9a-f]{8,64}', expected):
        raise InputError(f'the sha256 of {address} must be 8 to 64 hexadecimal digits, but got {expected!r}')
    if allow_insecure is None:
        allow_insecure = os.environ.get(ALLOW_INSECURE) == '1'
    if not address.startswith('https://') and not (address.startswith('http://') and allow_insecure):
        raise InputError(f'{address} is not an https URL; give one, or set {ALLOW_INSECURE}=1 if you accept http')
    key = hashlib.sha256(f'{address}\n{expected}'.encode()).hexdigest()[:16]
    path = Path(folder or cache_dir() / 'downloads') / f'{key}-{file_name(name)[-100:]}'
    if path.is_file() and file_hash(path).startswith(expected):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        atomic_write(path, lambda file: _fetch(address, file, expected))
    except OSError as error:  # URLError, a refused connection and a full disk all are
        raise UnavailableError(f'{address} could not be downloaded ({error}). Download it on a machine that can, and '
                               'give the path of the file instead') from error
    return path


def file_hash(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest() if hasattr(hashlib, 'file_digest') else \
            _hash_chunks(file)


def _hash_chunks(file):
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _fetch(url, file, expected):
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        if url.startswith('https://') and not response.geturl().startswith('https://'):
            raise UnavailableError(f'{url} redirects to {response.geturl()}, which is not https')
        while chunk := response.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    if not digest.hexdigest().startswith(expected):
        raise UnavailableError(f'{url} has the sha256 {digest.hexdigest()}, but {expected} was expected; it was not '
                               'kept. Check the hash, or whether the file was replaced')

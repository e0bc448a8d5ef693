"""Libraries that some metrics call: imported when asked for, with errors that say what to install or to copy."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from restorekit.messages import MissingDependencyError, UnavailableError


def import_library(module: str, package: str, metric: str, extra: str) -> Any:
    """Return an optional library.

    Args:
        module (str): What is imported.
        package (str): What it is called on PyPI.
        metric (str): Who asks, for the message.
        extra (str): The extra of restorekit that installs it.

    Raises:
        ImportError: If it cannot be imported; the message says what to install.

    Example:
        >>> import_library('math', 'math', 'PSNR', 'metrics').pi > 3
        True
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f'{metric} is measured by the library {package}, which cannot be imported ({error}): '
            f'python -m pip install "restorekit[{extra}]"') from error


@contextlib.contextmanager
def downloads(what: str, files: str) -> Iterator[None]:
    """Turn a failed download inside the block into an error that says how to do without it.

    Args:
        what (str): What is loaded.
        files (str): Which files are fetched from where, and the folder they belong in.

    Raises:
        RuntimeError: If the block raises an OSError, as every failed download or missing file does.

    Example:
        >>> with downloads('weights', 'net.pth belongs in ~/weights'):
        ...     pass
    """
    try:
        yield
    except OSError as error:
        raise UnavailableError(f'{what}: the weights are not on this machine and could not be downloaded ({error}). '
                               f'{files}. Without a network, copy them there from a machine that has one.') from error

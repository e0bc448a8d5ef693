"""The models that come with restorekit."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from restorekit.messages import UnknownNameError, unknown_name_message

_WEIGHTS = Path(__file__).parent / 'weights'


@dataclass(frozen=True)
class Model:
    """A named model.

    Attributes:
        name (str): What :func:`restorekit.load` takes.
        summary (str): What it is for, one line.
        licence (str): Licence of the weights.
        protect_highlights (bool): Whether clipped skies and lamps should be protected with it.
    """

    name: str
    summary: str
    licence: str = 'Apache-2.0'
    protect_highlights: bool = False

    @property
    def path(self) -> Path:
        """The file, inside the package."""
        return _WEIGHTS / f'{self.name}.safetensors'


_MODELS = {model.name: model for model in (
    Model('haze', 'Haze, fog and dust by day and indoors; small, fast, leaves clear photos nearly as they are',
          licence='research use (that is what most of its training data is for)', protect_highlights=True),
    Model('dcp', 'The dark channel prior (He et al., 2009): no training, a baseline'),
    Model('cap', 'The colour attenuation prior (Zhu et al., 2015): no training, a baseline'),
)}


def list_models(pattern: str = '*') -> list[str]:
    """Return the names of the models that match a glob, sorted.

    Example:
        >>> list_models('d*')
        ['dcp']
    """
    return sorted(name for name in _MODELS if fnmatchcase(name, pattern))


def find_model(name: str) -> Model:
    """Return the model called ``name``.

    Raises:
        UnknownNameError: If there is none; the message gives the nearest names.

    Example:
        >>> find_model('dcp').path.name
        'dcp.safetensors'
    """
    if name not in _MODELS:
        raise UnknownNameError(unknown_name_message(name, list(_MODELS), 'model index'))
    return _MODELS[name]

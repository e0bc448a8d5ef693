"""What restorekit tells its users: the errors a user can cause, and how near names are suggested."""

import difflib
import inspect


class UserError(Exception):
    """A mistake that a user can make and mend.

    Commands show it as one sentence, without a traceback. Every subclass is also the builtin error that Python users
    would catch (``ValueError``, ``FileNotFoundError``, ...). Anything else that is raised is a bug of restorekit.
    """

    def __str__(self):  # a KeyError would show its message in quotes
        return str(self.args[0]) if len(self.args) == 1 else super().__str__()


class InputError(UserError, ValueError):
    """A value that cannot be used; the message says what was given and what is allowed."""


class InputTypeError(UserError, TypeError):
    """A value of a type that cannot be used; the message says what was given and what is allowed."""


class MissingKeyError(UserError, KeyError):
    """A sample or file that lacks an entry which a component needs; the message says which, and what it has."""


class UnavailableError(UserError, RuntimeError):
    """What is needed is not available here: a device, a download, a variable of the environment."""


class UnknownNameError(UserError, KeyError):
    """A name that is not registered or not known."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that is not there."""


class ExistingFileError(UserError, FileExistsError):
    """A file or folder that is in the way; nothing is overwritten."""


class WriteError(UserError, OSError):
    """A file or folder that cannot be written."""


class MissingDependencyError(UserError, ModuleNotFoundError):
    """An optional package that is not installed; the message names the extra to install."""


def nearest(name, known, n=3, cutoff=0.5):
    """Return up to ``n`` names of ``known`` that are most similar to ``name``, best match first; case does not matter.

    Args:
        name (str): What was given.
        known (Iterable): What is allowed.
        n (int): At most this many.
        cutoff (float): Least similarity in [0, 1].

    Example:
        >>> nearest('cid/quickstrat', ['cid/quickstart', 'aod/aod_net'])
        ['cid/quickstart']
    """
    by_text = {str(item).lower(): str(item) for item in known}
    return [by_text[text] for text in difflib.get_close_matches(str(name).lower(), by_text, n=n, cutoff=cutoff)]


def did_you_mean(name, known, otherwise='', n=3, cutoff=0.5):
    """Return ``did you mean 'A' or 'B'?`` for the nearest names, or ``otherwise`` when none is near.

    Example:
        >>> did_you_mean('lr', ['lr_', 'momentum'])
        "did you mean 'lr_'?"
    """
    near = nearest(name, known, n, cutoff)
    return f'did you mean {" or ".join(map(repr, near))}?' if near else otherwise


def unknown_name_message(name, known, where):
    """Return the sentence that says ``name`` is unknown in ``where``, and what it could be.

    Example:
        >>> unknown_name_message('L1Los', ['L1Loss'], 'model registry')
        "'L1Los' is not in the model registry; did you mean 'L1Loss'?"
    """
    known = sorted(map(str, known))
    listed = f'known names: {", ".join(known)}' if len(known) <= 40 else f'{len(known)} names are known'
    return f'{name!r} is not in the {where}; {did_you_mean(name, known, listed)}'


def refuse_unused(component, values, needs, given):
    """Refuse arguments that differ from their defaults although, beside another argument, nothing reads them.

    Args:
        component (object | Callable): What is being built, whose class and bases hold the defaults; or a function.
        values (dict): Arguments by name, as they were given.
        needs (str): What they are for: ``"kind='focal'"``.
        given (str): What was given instead: ``"kind='complex'"``.

    Raises:
        InputError: For the first one that would have no effect; the message names both arguments.

    Example:
        >>> class Loss:
        ...     def __init__(self, kind='plain', alpha=1.):
        ...         if kind != 'focal':
        ...             refuse_unused(self, dict(alpha=alpha), "kind='focal'", f'kind={kind!r}')
        >>> Loss(alpha=2.)
        Traceback (most recent call last):
        restorekit.messages.InputError: Loss: alpha is for kind='focal' and has no effect with kind='plain', but got \
alpha=2.0; drop alpha (its default is 1.0), or give kind='focal'
    """
    for name, value in values.items():
        kind = component if inspect.isfunction(component) else type(component)
        default = _default(kind, name)
        if _comparable(value) != _comparable(default):
            raise InputError(f'{kind.__name__}: {name} is for {needs} and has no effect with {given}, but '
                             f'got {name}={value!r}; drop {name} (its default is {default!r}), or give {needs}')


def _default(kind, name):
    for function in [vars(base)['__init__'] for base in kind.__mro__ if '__init__' in vars(base)] \
            if inspect.isclass(kind) else [kind]:
        parameter = inspect.signature(function).parameters.get(name)
        if parameter is not None:
            return parameter.default
    raise TypeError(f'{kind.__name__} has no argument {name!r}')


def _comparable(value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (value, value)  # a number is a range of one
    return tuple(value) if isinstance(value, (list, tuple)) else value

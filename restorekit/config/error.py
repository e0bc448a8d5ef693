"""The error of all mistakes in configs."""

from restorekit.messages import UserError


class ConfigError(UserError, ValueError):
    """A config holds a mistake; the message names the file, the key and the nearest valid name."""

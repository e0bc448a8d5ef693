"""The file of a run's log."""

import logging
import os


class LogFile(logging.FileHandler):
    """A handler that writes letters which the system's encoding lacks as escapes, and nothing once its folder is gone.

    Other libraries close the handlers of everybody (``logging.config.dictConfig``); the file is opened again with the
    next line, unless the run's folder, which may have been temporary, was removed meanwhile.
    """

    @classmethod
    def like(cls, handler):
        """Return one in the place of a ``logging.FileHandler``, which is closed."""
        made = cls(handler.baseFilename, 'a', handler.encoding, errors='backslashreplace')
        made.setFormatter(handler.formatter)
        made.setLevel(handler.level)
        made.filters = handler.filters
        handler.close()
        return made

    def emit(self, record):
        """Write a record."""
        if self.stream is not None or os.path.isdir(os.path.dirname(self.baseFilename)):
            super().emit(record)

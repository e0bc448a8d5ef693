"""Names of files and folders made from names of data."""

import os


def file_name(text):
    """Return a text as the name of one file or folder, which leads nowhere else.

    Separators become ``_``, and so do names that are empty or of dots alone.

    Example:
        >>> file_name('day/fog'), file_name('../../x'), file_name('..'), file_name('')
        ('day_fog', '.._.._x', '__', '_')
    """
    for separator in ('/', '\0', os.sep, os.altsep or '/'):
        text = text.replace(separator, '_')
    return text if text.strip('. ') else '_' * max(len(text), 1)

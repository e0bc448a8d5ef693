"""Finding image files."""

import fnmatch
import os
from pathlib import Path

from restorekit.functional.image_io import IMAGE_SUFFIXES


def scan_images(folder, include=None, suffixes=IMAGE_SUFFIXES):
    """List the image files below a folder.

    Args:
        folder (str): The folder; sub-folders are searched, links to folders are not followed.
        include (str | list[str], optional): Shell patterns (``'14[0-2]?.png'``); a file is kept when its path
            relative to ``folder`` or its name matches one. Default: keep all.
        suffixes (tuple[str]): File suffixes, lower case.

    Returns:
        list[str]: Sorted paths relative to ``folder``, with ``/``.

    Raises:
        FileNotFoundError: If the folder is missing, or holds no image that ``include`` keeps.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f'no folder {root.absolute()}; give the right one in the config or with --data-root')
    patterns = [include] if isinstance(include, str) else include
    found, seen = [], 0
    for parent, folders, files in os.walk(root):
        folders.sort()
        for name in files:
            if not name.lower().endswith(suffixes) or name.startswith('.'):
                continue
            seen += 1
            relative = Path(parent, name).relative_to(root).as_posix()
            if patterns is None or any(fnmatch.fnmatch(relative, p) or fnmatch.fnmatch(name, p) for p in patterns):
                found.append(relative)
    if not found:
        detail = f'{seen} images are there but none matches include={patterns}' if seen else \
            f'it has no file with suffix {", ".join(suffixes)}'
        raise FileNotFoundError(f'no images in {root.absolute()}: {detail}')
    return sorted(found)

"""Images that were restored before, in the place of a model."""

from collections import defaultdict
from pathlib import Path

import torch
from mmengine.model import BaseModel

from restorekit.files.image_io import IMAGE_SUFFIXES, read_image
from restorekit.files.names import file_name
from restorekit.messages import InputError, MissingFileError
from restorekit.registry import MODELS

SUB_FOLDERS = 'several sets can have a sub-folder each, named like the set'


@MODELS.register_module()
class StoredPredictions(BaseModel):
    """Answer with the image another program wrote, so that its results are measured like any model's.

    A file belongs to an input of the same stem (the name without its suffix). If there is a sub-folder named like the
    input's set (its domain), it must be in there. Where several files have that stem, the one whose folders are named
    like the input's is taken.

    Args:
        folder (str | None): Folder of images, searched with its sub-folders; None answers with the input itself.

    Raises:
        FileNotFoundError: If the folder is missing or empty, or, from ``check_files``, inputs have no file in it.
        ValueError: If several files fit an input equally well, or one file fits several inputs.

    Example:
        >>> from restorekit.structures import RestoreSample
        >>> batch = dict(inputs=[torch.full((3, 4, 4), 255, dtype=torch.uint8)], data_samples=[RestoreSample()])
        >>> StoredPredictions().test_step(batch)[0].pred.mean().item()
        1.0
    """

    def __init__(self, folder=None):
        super().__init__()
        self.folder = None if folder is None else Path(folder)
        self._names = None  # file of each test image, by its index
        self._files = defaultdict(list)
        if folder is None:
            return
        if not self.folder.is_dir():
            raise MissingFileError(f'no folder of predictions {self.folder.absolute()}; --predictions takes the '
                                   'folder of the images to measure, or the word input')
        for path in sorted(self.folder.rglob('*')):
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.') and path.is_file():
                self._files[path.stem].append(path.relative_to(self.folder))
        if not self._files:
            raise MissingFileError(f'no images in {self.folder.absolute()} (looked for {", ".join(IMAGE_SUFFIXES)})')

    def check_files(self, names):
        """Find the file of every test image at once.

        Args:
            names (list[tuple[str, str]]): Set and name (relative path) of each, by ``test_index``.

        Raises:
            FileNotFoundError: Names the inputs without a file, the first five.
            ValueError: If two inputs would have the same file.
        """
        if self.folder is None:
            return
        self._names = [self.find(domain, name) for domain, name in names]
        missing = [f'{domain}/{name}' for (domain, name), file in zip(names, self._names, strict=True) if file is None]
        if missing:
            raise MissingFileError(
                f'{len(missing)} of {len(names)} test images have no prediction in {self.folder}: '
                f'{", ".join(missing[:5])}{" ..." if len(missing) > 5 else ""}. A prediction is named like its input, '
                f'up to the suffix; {SUB_FOLDERS}')
        taken = {}
        for (domain, name), file in zip(names, self._names, strict=True):
            if taken.setdefault(file, (domain, name)) != (domain, name):
                raise InputError(f'{file} would be the prediction of two test images, {"/".join(taken[file])} and '
                                 f'{domain}/{name}; {SUB_FOLDERS}')

    def find(self, domain, name):
        """Return the file for the input ``name`` of the set ``domain``, None if there is none."""
        name = Path(name)
        found = self._files.get(name.stem, [])
        folder = file_name(domain)
        if (self.folder / folder).is_dir():
            found = [path for path in found if path.parts[0] == folder]
        if len(found) > 1:
            likeness = [_equal_parts(path.parent.parts, name.parent.parts) for path in found]
            found = [path for path, like in zip(found, likeness, strict=True) if like == max(likeness)]
            shortest = min(len(path.parts) for path in found)
            found = [path for path in found if len(path.parts) == shortest]
        if len(found) > 1:
            raise InputError(f'several predictions fit {domain}/{name}: {", ".join(map(str, found))} in {self.folder}; '
                             'keep one')
        return self.folder / found[0] if found else None

    def forward(self, inputs, data_samples=None, mode='predict'):
        """Return the samples with the stored image as ``pred``, (3, H, W) in [0, 1]."""
        if mode != 'predict':
            raise InputError(f"stored predictions can only be measured (mode 'predict'), but mode is {mode!r}")
        for image, sample in zip(inputs, data_samples, strict=True):
            if self.folder is None or sample.get('broken'):
                sample.pred = image.float() / 255
                continue
            stored = read_image(self._names[sample.test_index]).transpose(2, 0, 1)
            sample.pred = torch.from_numpy(stored.copy()).to(image.device).float() / 255
        return data_samples


def _equal_parts(one, other):
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count

"""Datasets of image folders, LMDBs and lists."""

import logging
import os

import numpy as np

from restorekit.degradations import check_depth_options, read_depth
from restorekit.files.names import log
from restorekit.messages import InputError, InputTypeError, refuse_unused
from restorekit.registry import DATASETS

from .file_dataset import FileDataset
from .file_list import FileList
from .list_file import read_list
from .pairing import first_names, match_names, pair_names
from .scanner import FileSource


@DATASETS.register_module()
class SingleDataset(FileDataset):
    """Images without ground truth: real hazy photos to adapt to or to restore.

    Args:
        image_dir (str | list[str]): One or more folders or LMDBs.
        include (str | list[str], optional): See :func:`~restorekit.datasets.scanner.scan_images`.
        ann_file (str, optional): Takes the images of this list, in its order, from the one ``image_dir``; see
            :func:`~restorekit.datasets.list_file.read_list`.
        **kwargs: See :class:`FileDataset`.
    """

    def __init__(self, image_dir, include=None, ann_file=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(image_dir, (str, os.PathLike, list, tuple)):
            raise InputTypeError(f'image_dir is a folder or a list of folders, but got {image_dir!r}')
        folders = [image_dir] if isinstance(image_dir, (str, os.PathLike)) else list(image_dir)
        if not folders or (ann_file is not None and len(folders) > 1):
            raise InputError(f'image_dir names {len(folders)} folders; it takes at least one, and with ann_file one')
        listed = None if ann_file is None else read_list(ann_file, ('input',), include)
        self._set_sources(input=FileSource([(folder, self._names(folder, include, listed, 'input'))
                                            for folder in folders], self.backend_args))

    def load(self, index, seed):
        return dict(inputs=self.read(index, 'input'), img_path=self.sources['input'].path(index))


@DATASETS.register_module()
class PairedDataset(FileDataset):
    """Hazy images and their clear images in two folders.

    Args:
        input_dir (str): Folder or LMDB of hazy images.
        gt_dir (str): Folder or LMDB of clear images; if it is ``input_dir`` (not with 'stem'), those that are no
            hazy ones.
        pairing (str | dict): How a hazy file finds its clear file, by stem (path without suffix):
            ``'stem'`` equal stems; ``'prefix'`` the clear stem is what stands before the first ``_`` of the hazy one
            (RESIDE, ``1400_3.png`` to ``1400.png``; several hazy images may share one clear image); ``'suffix'`` both
            end in a tag of their own after the last ``_`` (``01_hazy.png`` to ``01_GT.png``); ``dict(input=REGEX,
            gt=REGEX)`` what the groups of the expressions (or, without groups, the whole expressions) find in the two
            names is equal; ``'list'`` as ``ann_file`` says.
        include (str | list[str], optional): Keeps only matching hazy files.
        ann_file (str, optional): Takes the hazy images of this list, in its order; if it names clear images too, these
            are the pairs, whatever ``pairing``. See :func:`~restorekit.datasets.list_file.read_list`.
        gt_border (int): A clear image that is this many pixels larger on each side is cropped (SOTS-indoor: 10).
        **kwargs: See :class:`FileDataset`.

    Attributes:
        unused (int): Clear images that belong to no hazy one.

    Raises:
        ValueError: If a hazy file has no clear file (names the first five, their number, and the rule that would
            match) or two.
    """

    def __init__(self, input_dir, gt_dir, pairing='stem', include=None, ann_file=None, gt_border=0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(gt_border, int) or gt_border < 0:
            raise InputError(f'gt_border is a number of pixels, at least 0, but got {gt_border!r}')
        self.gt_border = gt_border
        listed = None if ann_file is None else read_list(ann_file, ('input', 'gt'), include)
        has_pairs = listed is not None and 'gt' in listed.columns
        if pairing == 'list' and not has_pairs:
            raise InputError("pairing='list' needs an ann_file with a column of clear images" +
                             (f'; {ann_file} has none' if ann_file else ''))
        if has_pairs and pairing != 'list':
            refuse_unused(self, dict(pairing=pairing), 'finding the clear images by name',
                          f'ann_file={str(ann_file)!r}, whose column of clear images says which they are')
        inputs = self._names(input_dir, include, listed, 'input')
        if has_pairs:
            rows = self._names(gt_dir, listed=listed, role='gt')
            places = {name: i for i, name in enumerate(dict.fromkeys(rows))}
            clears, order = FileList(places), np.fromiter((places[name] for name in rows), np.int32, len(rows))
            if same_folder(input_dir, gt_dir):
                for name, truth, line in zip(inputs, rows, listed.lines, strict=True):
                    if name == truth:
                        raise InputError(f'{ann_file}, line {line}: {name} is named as its own clear image')
        else:
            clears = self._names(gt_dir)
            if same_folder(input_dir, gt_dir):
                if pairing == 'stem':
                    raise InputError(f'input_dir and gt_dir are one folder, {input_dir}, where each image would be '
                                     "its own truth by pairing='stem'; say how they differ, as in pairing='suffix', "
                                     "include='*_hazy.png', or name the pairs in a list (ann_file)")
                hazy = set(inputs)
                clears = FileList(name for name in clears if name not in hazy)
            order = pair_names(inputs, clears, pairing, (input_dir, gt_dir))
        self.unused = len(clears) - len(np.unique(order))
        if self.unused:
            log(f'{self.unused} of {len(clears)} clear images in {gt_dir} belong to no hazy image of {input_dir}',
                logging.INFO)
        self._set_sources(input=self._source(input_dir, inputs), gt=self._source(gt_dir, clears, order))

    def load(self, index, seed):
        inputs, gt = self.read(index, 'input'), self.read(index, 'gt')
        img_path, gt_path = self.files(index).values()
        border = self.gt_border
        if border and gt.shape[0] == inputs.shape[0] + 2 * border and gt.shape[1] == inputs.shape[1] + 2 * border:
            gt = gt[border:-border, border:-border]
        if inputs.shape != gt.shape:
            more = [(gt.shape[axis] - inputs.shape[axis]) / 2 for axis in (0, 1)]
            hint = f'; if the clear images have a frame, give gt_border={int(more[0])}' \
                if more[0] == more[1] == int(more[0]) and more[0] > 0 else ''
            raise InputError(f'the images of a pair differ in size: {img_path} is {inputs.shape[1]}x{inputs.shape[0]}, '
                             f'{gt_path} is {gt.shape[1]}x{gt.shape[0]} pixels{hint}')
        return dict(inputs=inputs, gt=gt, img_path=img_path, gt_path=gt_path)


@DATASETS.register_module()
class ClearDepthDataset(FileDataset):
    """Clear images, with or without depth maps, degraded on the fly by the ``Degrade`` transform.

    Args:
        clear_dir (str): Folder or LMDB of clear images.
        depth_dir (str, optional): Folder or LMDB of depth maps with the same stems (PNG or TIFF of 8 or 16 bits, TIFF
            of floats, or NPY).
        depth (dict): How the maps are coded, passed to :func:`restorekit.degradations.read_depth`.
        include (str | list[str], optional): Keeps only matching clear files.
        ann_file (str, optional): Takes the clear images of this list, in its order, and their depth maps where it has
            them; see :func:`~restorekit.datasets.list_file.read_list`.
        **kwargs: See :class:`FileDataset`.
    """

    def __init__(self, clear_dir, depth_dir=None, depth=None, include=None, ann_file=None, **kwargs):
        super().__init__(**kwargs)
        self.depth = dict(depth or {})
        if depth_dir is None:
            refuse_unused(self, dict(depth=depth or None), 'maps in depth_dir', 'no depth_dir')
        check_depth_options(self.depth, 'ClearDepthDataset: depth')
        listed = None if ann_file is None else read_list(ann_file, ('gt', 'depth'), include)
        names = self._names(clear_dir, include, listed, 'gt')
        maps = order = None
        if depth_dir is not None:
            maps = self._names(depth_dir, None, listed, 'depth', suffixes=('.png', '.npy', '.tif', '.tiff'))
            if listed is None or 'depth' not in listed.columns:
                order = match_names(names, maps, 'stem', (clear_dir, depth_dir), 'depth map')
                missing = np.flatnonzero(order < 0)
                if len(missing):
                    raise InputError(f'{len(missing)} of {len(names)} images in {clear_dir} have no depth map in '
                                     f'{depth_dir}: {first_names(names, missing)}')
        self._set_sources(gt=self._source(clear_dir, names), depth=maps and self._source(depth_dir, maps, order))

    def load(self, index, seed):
        clear_path = self.sources['gt'].path(index)
        results = dict(gt=self.read(index, 'gt'), img_path=clear_path, gt_path=clear_path)
        if 'depth' in self.sources:
            depth = results['depth'] = self.read(index, 'depth', read_depth, **self.depth)
            if depth.shape != results['gt'].shape[:2]:
                raise InputError(f'depth map {self.sources["depth"].path(index)} is {depth.shape}, its image '
                                 f'{clear_path} is {results["gt"].shape[:2]} (height, width)')
        return results


def same_folder(a, b):
    """Whether two paths lead to one folder."""
    return str(a) == str(b) if '://' in f'{a}{b}' else os.path.realpath(a) == os.path.realpath(b)

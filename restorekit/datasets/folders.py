"""Datasets of image folders."""

import re
from pathlib import Path

from restorekit.degradations import read_depth
from restorekit.functional.image_io import read_image
from restorekit.registry import DATASETS

from .base import RestoreDataset
from .scanner import scan_images

PAIRINGS = ('stem', 'prefix', 'suffix')


@DATASETS.register_module()
class SingleDataset(RestoreDataset):
    """Images without ground truth: real hazy photos to adapt to or to restore.

    Args:
        image_dir (str | list[str]): One or more folders.
        include (str | list[str], optional): See :func:`~restorekit.datasets.scanner.scan_images`.
        **kwargs: See :class:`RestoreDataset`.
    """

    def __init__(self, image_dir, include=None, **kwargs):
        super().__init__(**kwargs)
        folders = [image_dir] if isinstance(image_dir, str) else image_dir
        self.paths = [str(Path(folder, name)) for folder in folders for name in scan_images(folder, include)]

    def __len__(self):
        return len(self.paths)

    def load(self, index, seed):
        return dict(inputs=read_image(self.paths[index]), img_path=self.paths[index])


@DATASETS.register_module()
class PairedDataset(RestoreDataset):
    """Hazy images and their clear images in two folders.

    Args:
        input_dir (str): Folder of hazy images.
        gt_dir (str): Folder of clear images.
        pairing (str): How a hazy file finds its clear file, by stem (path without suffix): ``'stem'`` equal stems;
            ``'prefix'`` the clear stem is what stands before the first ``_`` of the hazy one (RESIDE, ``1400_3.png``
            to ``1400.png``; several hazy images may share one clear image); ``'suffix'`` both end in a tag of
            their own after the last ``_`` (``01_hazy.png`` to ``01_GT.png``).
        include (str | list[str], optional): Keeps only matching hazy files.
        **kwargs: See :class:`RestoreDataset`.

    Raises:
        ValueError: If a hazy file has no clear file; names the first five and their number.
    """

    def __init__(self, input_dir, gt_dir, pairing='stem', include=None, **kwargs):
        super().__init__(**kwargs)
        if pairing not in PAIRINGS:
            raise ValueError(f'pairing must be one of {PAIRINGS}, but is {pairing!r}')
        gt_files = {_pair_key(name, 'stem' if pairing == 'prefix' else pairing): name for name in scan_images(gt_dir)}
        inputs = scan_images(input_dir, include)
        unmatched = [name for name in inputs if _pair_key(name, pairing) not in gt_files]
        if unmatched:
            raise ValueError(
                f'{len(unmatched)} of {len(inputs)} images in {input_dir} have no clear image in {gt_dir} by '
                f'pairing={pairing!r}: {", ".join(unmatched[:5])}{" ..." if len(unmatched) > 5 else ""}; '
                f'choose another pairing ({", ".join(PAIRINGS)}), or restrict the inputs with include')
        self.pairs = [(str(Path(input_dir, name)), str(Path(gt_dir, gt_files[_pair_key(name, pairing)])))
                      for name in inputs]

    def __len__(self):
        return len(self.pairs)

    def load(self, index, seed):
        img_path, gt_path = self.pairs[index]
        inputs, gt = read_image(img_path), read_image(gt_path)
        if inputs.shape != gt.shape:
            raise ValueError(f'the images of a pair differ in size: {img_path} is {inputs.shape[1]}x{inputs.shape[0]}, '
                             f'{gt_path} is {gt.shape[1]}x{gt.shape[0]} pixels')
        return dict(inputs=inputs, gt=gt, img_path=img_path, gt_path=gt_path)


@DATASETS.register_module()
class ClearDepthDataset(RestoreDataset):
    """Clear images, with or without depth maps, to be degraded on line by the ``Degrade`` transform.

    Args:
        clear_dir (str): Folder of clear images.
        depth_dir (str, optional): Folder of depth maps with the same stems (png 8/16 bit or npy).
        depth (dict): How the maps are coded, passed to :func:`restorekit.degradations.read_depth`.
        include (str | list[str], optional): Keeps only matching clear files.
        **kwargs: See :class:`RestoreDataset`.
    """

    def __init__(self, clear_dir, depth_dir=None, depth=None, include=None, **kwargs):
        super().__init__(**kwargs)
        self.depth = dict(depth or {})
        names = scan_images(clear_dir, include)
        depths = {}
        if depth_dir is not None:
            depths = {_pair_key(name, 'stem'): name
                      for name in scan_images(depth_dir, suffixes=('.png', '.npy', '.tif', '.tiff'))}
            missing = [name for name in names if _pair_key(name, 'stem') not in depths]
            if missing:
                raise ValueError(f'{len(missing)} of {len(names)} images in {clear_dir} have no depth map in '
                                 f'{depth_dir}: {", ".join(missing[:5])}{" ..." if len(missing) > 5 else ""}')
        self.files = [(str(Path(clear_dir, name)),
                       str(Path(depth_dir, depths[_pair_key(name, 'stem')])) if depth_dir is not None else None)
                      for name in names]

    def __len__(self):
        return len(self.files)

    def load(self, index, seed):
        clear_path, depth_path = self.files[index]
        results = dict(gt=read_image(clear_path), img_path=clear_path, gt_path=clear_path)
        if depth_path is not None:
            results['depth'] = read_depth(depth_path, **self.depth)
            if results['depth'].shape != results['gt'].shape[:2]:
                raise ValueError(f'depth map {depth_path} is {results["depth"].shape}, its image {clear_path} is '
                                 f'{results["gt"].shape[:2]} (height, width)')
        return results


def _pair_key(name, pairing):
    stem = name[:name.rfind('.')]
    if pairing == 'prefix':
        folder, _, file = stem.rpartition('/')
        return f'{folder}/{file.split("_")[0]}'.lstrip('/')
    if pairing == 'suffix':
        return re.sub(r'_[^_/]*$', '', stem)
    return stem

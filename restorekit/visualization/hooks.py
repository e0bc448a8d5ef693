"""Hooks that show and save restored images."""

from pathlib import Path

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from restorekit.functional.image_io import write_image
from restorekit.registry import HOOKS

from .strips import strip


@HOOKS.register_module()
class StripHook(Hook):
    """At each validation, show fixed samples as strips: input, restored, ground truth.

    The strips go to the visualizer (TensorBoard); the images to ``<work dir>/samples`` as
    ``<domain>_<number>_{input,pred,gt}.png``, those of the last validation only.

    Args:
        per_domain (int): Samples shown of each domain, the first ones.
    """

    def __init__(self, per_domain=2):
        self.per_domain = per_domain
        self._shown = {}

    def before_val_epoch(self, runner):
        """Start counting anew."""
        self._shown = {}

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Show the first samples of each domain."""
        if not is_main_process():
            return
        for inputs, sample in zip(data_batch['inputs'], outputs, strict=True):
            domain = sample.get('domain') or 'val'
            number = self._shown.get(domain, 0)
            if number >= self.per_domain:
                continue
            self._shown[domain] = number + 1
            images = dict(input=to_array(inputs), pred=to_array(sample.pred))
            if 'gt' in sample:
                images['gt'] = to_array(sample.gt)
            for kind, image in images.items():
                write_image(Path(runner.work_dir, 'samples', f'{domain}_{number}_{kind}.png'), image)
            runner.visualizer.add_image(f'strips/{domain}_{number}', strip(list(images.values())), step=runner.iter)


@HOOKS.register_module()
class SaveImagesHook(Hook):
    """Save every restored image of a test as PNG.

    Args:
        out_dir (str): Target folder; files are named like the inputs, in a sub-folder per domain if there is one.
            Inputs of equal names get a number.
    """

    def __init__(self, out_dir):
        self.out_dir = Path(out_dir)
        self._sources = {}

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Save the images of a batch."""
        for sample in outputs:
            source = Path(sample.get('img_path') or f'{batch_idx:06d}.png')
            folder, number = self.out_dir / (sample.get('domain') or ''), 1
            target = folder / f'{source.stem}.png'
            while self._sources.setdefault(target, source) != source:
                number += 1
                target = folder / f'{source.stem}-{number}.png'
            write_image(target, to_array(sample.pred))


def to_array(image):
    """A (3, H, W) tensor, uint8 or float in [0, 1], as a uint8 (H, W, 3) array."""
    image = image.detach().cpu()
    if image.is_floating_point():
        image = (image.clamp(0, 1) * 255).round().byte()
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


__all__ = ['SaveImagesHook', 'StripHook', 'to_array']

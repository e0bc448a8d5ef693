"""Hooks that show and save restored images."""

from pathlib import Path

from mmengine.dist import all_gather_object, get_dist_info, is_main_process
from mmengine.hooks import Hook

from restorekit.files.image_io import write_image
from restorekit.files.names import file_name
from restorekit.functional.images import to_array
from restorekit.registry import HOOKS

from .strips import ERROR_GAIN, contact_sheet, error_image


@HOOKS.register_module()
class StripHook(Hook):
    """At each validation, show fixed samples as strips: input, restored, ground truth, error.

    The samples are the first ``per_domain`` of each domain in the order of the validation set, whatever the batch size
    and the number of processes (of MMEngine's ``DefaultSampler``, which deals them out in turn). The strips go to the
    visualizer (TensorBoard); the error is :func:`~restorekit.visualization.error_image`, whose gain is fixed, so that
    validations compare. Without ground truth a strip has two columns. The images themselves go to
    ``<work dir>/samples`` as ``<domain>_<number>_{input,pred,gt}.png``, those of the last validation only.

    Args:
        per_domain (int): Samples shown of each domain.
        height (int): Height of the images of a strip, in pixels.
    """

    def __init__(self, per_domain=2, height=256):
        self.per_domain, self.height = per_domain, height
        self._seen, self._size, self._kept = 0, None, {}

    def before_val_epoch(self, runner):
        """Start counting anew."""
        self._seen, self._kept = 0, {}
        loop = getattr(runner, 'val_loop', None)
        self._size = len(loop.dataloader.dataset) if loop is not None else None

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Keep the first samples of each domain that this process sees."""
        rank, world_size = get_dist_info()
        for inputs, sample in zip(data_batch['inputs'], outputs, strict=True):
            position = self._seen * world_size + rank
            if self._size is not None:  # the sampler fills the last round up with the first images
                position %= self._size
            self._seen += 1
            kept = self._kept.setdefault(sample.get('domain') or 'val', {})
            if len(kept) >= self.per_domain or sample.get('broken'):
                continue
            images = dict(input=to_array(inputs), pred=to_array(sample.pred))
            if 'gt' in sample:
                images['gt'] = to_array(sample.gt)
            kept[position] = images

    def after_val_epoch(self, runner, metrics=None):
        """Show the first of what all processes kept."""
        every = all_gather_object(self._kept)
        self._kept = {}
        if not is_main_process():
            return
        for domain in sorted({domain for kept in every for domain in kept}):
            found = {position: images for kept in every for position, images in kept.get(domain, {}).items()}
            for number, position in enumerate(sorted(found)[:self.per_domain]):
                self._show(runner, f'{file_name(domain)}_{number}', found[position])

    def _show(self, runner, name, images):
        for kind, image in images.items():
            write_image(Path(runner.work_dir, 'samples', f'{name}_{kind}.png'), image)
        titles = ['input', 'restored', 'ground truth', f'error x {ERROR_GAIN}']
        row = list(images.values())
        if 'gt' in images:
            row.append(error_image(images['pred'], images['gt']))
        sheet = contact_sheet([row], titles[:len(row)], height=self.height)
        runner.visualizer.add_image(f'strips/{name}', sheet, step=runner.iter)

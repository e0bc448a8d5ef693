"""Turns a collated batch into network input, on the device."""

import torch
from mmengine.model import BaseDataPreprocessor

from restorekit.degradations import params_to_json
from restorekit.functional.images import to_unit
from restorekit.functional.padding import pad_to_multiple
from restorekit.functional.ranges import rescale
from restorekit.messages import InputError
from restorekit.registry import DEGRADATIONS, MODELS

__all__ = ['RestorePreprocessor']


@MODELS.register_module()
class RestorePreprocessor(BaseDataPreprocessor):
    """Move to the device, scale to [0, 1], degrade (training only, optional), pad, scale to the network's range.

    Each image is padded on its own to the network's ``size_divisor`` and ``min_size``, and the padding is written to
    its metainfo. Images of equal padded size are stacked; of unequal sizes stay a list, since a padded neighbour
    would change the result of any network with global pooling.

    Args:
        degradation (dict, optional): From ``DEGRADATIONS``: degrade whole training batches on the device. The
            dataset's items are then clear images without ``gt``; the parameters are drawn from each sample's seed.
        non_blocking (bool): Copy to the device without waiting.
    """

    def __init__(self, degradation=None, non_blocking=False):
        super().__init__(non_blocking=non_blocking)
        self.degradation = DEGRADATIONS.build(degradation) if isinstance(degradation, dict) else degradation
        self.size_divisor, self.min_size, self.input_range = 1, 1, (0.0, 1.0)

    def bind(self, network):
        """Take the size and range declarations from ``network``."""
        self.size_divisor, self.min_size = network.size_divisor, network.min_size
        self.input_range = network.input_range

    def forward(self, data, training=False):
        """Prepare a batch.

        Args:
            data (dict): ``inputs``: list of uint8 or uint16 (3, H, W), or one tensor (N, 3, H, W); ``data_samples``:
                list of RestoreSample, optional; ``target``: dict of the same two keys, optional.
            training (bool): Whether the batch is trained on.

        Returns:
            dict: ``inputs`` and ``target`` in the network's input range, (N, 3, h, w) or a list of (3, h, w).
        """
        data = self.cast_data(data)
        inputs, samples = self._prepare(data['inputs'], data.get('data_samples'), training)
        if training and self.degradation is not None:
            inputs = self._degrade(inputs, samples)
        out = dict(data, inputs=self._pad(inputs, samples), data_samples=samples,
                   **self._features(samples, 'features', training))
        if data.get('target') is not None:
            target, samples = self._prepare(data['target']['inputs'], data['target'].get('data_samples'), training)
            out['target'] = self._pad(target, None)
            out.update(self._features(samples, 'target_features', training))
        return out

    @staticmethod
    def _features(samples, key, training):
        """The encoder's maps that travel with samples of :class:`CachedFeatures`, stacked."""
        count = samples[0].get('cached_maps') if training and samples else None
        return {key: tuple(torch.stack([sample.get(f'map_{i}') for sample in samples]) for i in range(count))} \
            if count else {}

    def _prepare(self, images, samples, training):
        for image in images:
            if image.dtype not in (torch.uint8, torch.uint16) or image.dim() != 3 or image.shape[0] != 3:
                raise InputError('a batch holds uint8 or uint16 (3, H, W) images, but got '
                                 f'{image.dtype} {tuple(image.shape)}')
        for sample in samples if training and samples is not None else ():
            if sample.get('broken'):
                raise InputError(f'{sample.img_path} could not be read, and nothing replaces it: in training '
                                 "on_error='skip' needs sampler=dict(type='CounterSampler')")
        sizes = {tuple(image.shape[-2:]) for image in images}
        if training and len(sizes) > 1:
            raise InputError(f'images of a training batch must have one size, but have {sorted(sizes)} (height, '
                             'width); put RandomCrop at the end of the geometric transforms of the pipeline')
        if len(sizes) > 1:
            return [to_unit(image) for image in images], samples
        return to_unit(images if isinstance(images, torch.Tensor) else torch.stack(images)), samples

    def _degrade(self, clear, samples):
        if any('gt' in sample for sample in samples):
            raise InputError('the batch already has ground truth, so its inputs are degraded; take Degrade out of the '
                             'pipeline, or degradation out of the preprocessor')
        depth = torch.stack([sample.depth for sample in samples]) if all('depth' in s for s in samples) else None
        params = self.degradation.sample([sample.seed for sample in samples], *clear.shape[-2:])
        hazy = (self.degradation.apply(clear, depth, params) * 255).round() / 255
        for sample, image, drawn in zip(samples, clear, params_to_json(params), strict=True):
            sample.gt = (image * 255).round().byte()
            sample.set_metainfo(dict(degradation=drawn))
        return hazy

    def _pad(self, images, samples):
        if isinstance(images, torch.Tensor):  # of one size: a batch stays one tensor
            images, padding = pad_to_multiple(images, self.size_divisor, self.min_size)
            for sample in samples or ():
                sample.set_metainfo(dict(padding=padding))
            return rescale(images, (0.0, 1.0), self.input_range)
        padded = [pad_to_multiple(image, self.size_divisor, self.min_size) for image in images]
        for sample, (_, padding) in zip(samples or (), padded, strict=False):
            sample.set_metainfo(dict(padding=padding))
        images = [rescale(image, (0.0, 1.0), self.input_range) for image, _ in padded]
        return torch.stack(images) if len({image.shape for image in images}) == 1 else images

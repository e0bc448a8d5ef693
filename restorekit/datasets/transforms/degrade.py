"""Degradation in a dataset's pipeline."""

import numpy as np
import torch

from restorekit.degradations import params_to_json
from restorekit.functional.images import to_tensor
from restorekit.messages import MissingKeyError
from restorekit.registry import DEGRADATIONS, TRANSFORMS


@TRANSFORMS.register_module()
class Degrade:
    """Make the hazy input from the clear image ``gt`` (and ``depth`` where there is one).

    The result is rounded to 8 bits, as an image file would be. The parameters drawn are kept in the sample's
    ``degradation`` metadata as plain data; ``params_from_json`` makes them replay the image.

    Args:
        degradation (dict): From ``DEGRADATIONS``.
        transmission (bool): Keep the transmission too, where the degradation knows it, for losses that look at it:
            ``transmission`` (1, H, W) or (3, H, W) of the sample, NaN where it is not known.
    """

    def __init__(self, degradation, transmission=False):
        self.transmission = transmission
        self.degradation = DEGRADATIONS.build(degradation) if isinstance(degradation, dict) else degradation

    def __call__(self, results):
        if results.get('gt') is None:
            raise MissingKeyError(
                f'Degrade needs the clear image under gt, but the sample of {results.get("img_path")} has '
                f'{sorted(results)}; use ClearDepthDataset or another dataset of clear images')
        # channels first in memory from here on; pack then copies neither image
        stored = to_tensor(results['gt'])
        results['gt'] = stored.numpy().transpose(1, 2, 0)
        gt = stored.float()[None] / 255
        depth = results.get('depth')
        if depth is not None:
            depth = torch.from_numpy(np.ascontiguousarray(depth, np.float32))[None, None]
        params = self.degradation.sample([results['seed']], *gt.shape[-2:])
        hazy = self.degradation.apply(gt, depth, params)
        results['inputs'] = (hazy[0] * 255).round().byte().numpy().transpose(1, 2, 0)
        results['degradation'] = params_to_json(params)[0]
        if self.transmission:
            t = self.degradation.transmission(gt, depth, params)
            results['transmission'] = gt[0, :1] * torch.nan if t is None else t[0]
        return results

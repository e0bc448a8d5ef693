"""Depth for photos without any, in a dataset's pipeline."""

from restorekit.degradations import DepthEstimator
from restorekit.messages import InputTypeError, MissingKeyError
from restorekit.registry import TRANSFORMS


@TRANSFORMS.register_module()
class EstimateDepth:
    """Put a network's estimate of the depth under ``depth``, before :class:`Degrade` needs it.

    Give it the whole photo, before any crop: a network sees more of the scene there, and a ``cache_dir`` of the
    estimator then saves all but the first estimate of each photo.

    Args:
        estimator (dict or DepthEstimator): Arguments of :class:`~restorekit.degradations.DepthEstimator`, or an object
            (any callable from uint8 (H, W, 3) RGB to float32 (H, W) depth).
        overwrite (bool): Estimate even where the sample has a depth.

    Example:
        >>> EstimateDepth(dict(network=lambda x: x.mean(dim=1), size=32)).overwrite
        False
    """

    def __init__(self, estimator, overwrite=False):
        self.estimator = DepthEstimator(**estimator) if isinstance(estimator, dict) else estimator
        if not callable(self.estimator):
            raise InputTypeError(f'EstimateDepth.estimator must be a dict of DepthEstimator arguments or a callable, '
                                 f'but got {estimator!r}')
        self.overwrite = overwrite

    def __call__(self, results):
        if results.get('depth') is not None and not self.overwrite:
            return results
        if results.get('gt') is None:
            raise MissingKeyError(
                f'EstimateDepth needs the clear image under gt, but the sample of {results.get("img_path")} '
                f'has {sorted(results)}; use ClearDepthDataset or another dataset of clear images')
        results['depth'] = self.estimator(results['gt'])
        return results

"""The data element that travels from a dataset to a metric."""

from mmengine.structures import BaseDataElement


class RestoreSample(BaseDataElement):
    """One image of a batch, without its input pixels.

    Data fields (each optional):

    - ``gt``: the clear image, uint8 (3, H, W) RGB.
    - ``depth``: the scene's depth, float32 (1, H, W), 0 at the camera, larger is farther.
    - ``pred``: the restored image, float32 (3, H, W) RGB in [0, 1].

    Metainfo: ``img_path``, ``gt_path``, ``ori_shape`` (H, W), ``domain``, ``seed`` (of this draw), ``padding``
    (left, right, top, bottom) and ``degradation`` (the parameters drawn, enough to replay it).

    Example:
        >>> import torch
        >>> sample = RestoreSample(metainfo=dict(domain='source', ori_shape=(4, 6)))
        >>> sample.gt = torch.zeros(3, 4, 6, dtype=torch.uint8)
        >>> sample.domain, tuple(sample.gt.shape)
        ('source', (3, 4, 6))
    """

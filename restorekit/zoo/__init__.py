"""Named models and the conversion of published checkpoints."""

from .cid import CID_NETWORK, convert_cid_file, published_to_restorekit, restorekit_to_published
from .spandrel import register_with_spandrel

__all__ = ['CID_NETWORK', 'convert_cid_file', 'published_to_restorekit', 'register_with_spandrel',
           'restorekit_to_published']

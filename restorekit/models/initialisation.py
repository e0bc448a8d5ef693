"""Pretrained weights for ``init_cfg``, read as data."""

from mmengine.model import PretrainedInit
from mmengine.model.weight_init import update_init_info
from mmengine.runner import load_state_dict

from restorekit.checkpoint import CheckpointError, load_checkpoint_file, load_from_http, network_state
from restorekit.registry import WEIGHT_INITIALIZERS

__all__ = ['SafePretrainedInit']


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class SafePretrainedInit(PretrainedInit):
    """MMEngine's ``init_cfg=dict(type='Pretrained', checkpoint=...)``; no code from the checkpoint is ever run.

    Args:
        checkpoint (str): A file or an http address.
        prefix (str, optional): Load only what stands below this prefix.
        map_location (str, optional): As for ``torch.load``.
    """

    def __call__(self, module):
        """Load the weights into ``module``; MMEngine logs the keys that do not fit."""
        read = load_from_http if '://' in self.checkpoint else load_checkpoint_file
        state = network_state(read(self.checkpoint, map_location=self.map_location or 'cpu'), self.checkpoint)
        if self.prefix is not None:
            prefix = self.prefix.removeprefix('network.').rstrip('.') + '.'
            state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            if not state:
                raise CheckpointError(f'init_cfg: {self.checkpoint} has no tensor below prefix={self.prefix!r}')
        if not set(state) & set(module.state_dict()):
            raise CheckpointError(f'init_cfg: none of the {len(state)} tensors of {self.checkpoint} belongs to this '
                                  f'{type(module).__name__} (the first is {next(iter(state))!r}); say which part it is '
                                  "with prefix='...'")
        load_state_dict(module, state, strict=False, logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=self._get_init_info())

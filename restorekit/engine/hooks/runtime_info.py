"""The numbers of training, of all processes."""

import mmengine
import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import RuntimeInfoHook

from restorekit.registry import HOOKS


@HOOKS.register_module()
class MeanRuntimeInfoHook(RuntimeInfoHook):
    """MMEngine's hook that records losses; under several processes their mean over all of these.

    :class:`RestoreRunner` has it by default. Each process sees its own part of a batch, so that MMEngine's log shows
    the losses of the first process alone.
    """

    def before_run(self, runner):
        """Record the run as MMEngine does, without its config's text; no git is started in the working directory."""
        runner.message_hub.update_info_dict(dict(seed=runner.seed, experiment_name=runner.experiment_name,
                                                 mmengine_version=mmengine.__version__))
        self.last_loop_stage = None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Average the losses over the processes, then record them."""
        if outputs and get_world_size() > 1:
            names = sorted(name for name, value in outputs.items() if isinstance(value, (int, float, torch.Tensor)))
            device = next(runner.model.parameters()).device
            values = torch.tensor([float(outputs[name]) for name in names], dtype=torch.float64, device=device)
            all_reduce(values, op='mean')
            outputs = {**outputs, **dict(zip(names, values.tolist(), strict=True))}
        super().after_train_iter(runner, batch_idx, data_batch, outputs)

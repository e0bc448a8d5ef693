"""The numbers of training, of all processes."""

import zlib

import mmengine
import torch
from mmengine.dist import all_gather_object, all_reduce, get_world_size
from mmengine.hooks import RuntimeInfoHook

from restorekit.files.names import log
from restorekit.registry import HOOKS


@HOOKS.register_module()
class MeanRuntimeInfoHook(RuntimeInfoHook):
    """MMEngine's hook that records losses; under several processes their mean over all of these.

    :class:`RestoreRunner` has it by default. Each process sees its own part of a batch, so that MMEngine's log shows
    the losses of the first process alone. A loss that only some processes have is averaged over these, and named once.
    """

    def before_run(self, runner):
        """Record the run as MMEngine does, without its config's text; no git is started in the working directory."""
        runner.message_hub.update_info_dict(dict(seed=runner.seed, experiment_name=runner.experiment_name,
                                                 mmengine_version=mmengine.__version__))
        self.last_loop_stage = None
        self._said = set()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Average the losses over the processes, then record them."""
        if get_world_size() > 1:
            values = {name: float(value) for name, value in sorted((outputs or {}).items())
                      if isinstance(value, (int, float, torch.Tensor))}
            outputs = {**(outputs or {}), **self._means(values, next(runner.model.parameters()).device)}
        super().after_train_iter(runner, batch_idx, data_batch, outputs)

    def _means(self, values, device):
        """Return the mean of each value over the processes that have it; all processes call this."""
        digest = zlib.crc32('\n'.join(values).encode())
        extremes = torch.tensor([digest, -digest], dtype=torch.float64, device=device)
        all_reduce(extremes, op='max')
        if extremes[0] == -extremes[1]:  # the same names everywhere
            means = torch.tensor([*values.values()], dtype=torch.float64, device=device)
            if values:
                all_reduce(means, op='mean')
            return dict(zip(values, means.tolist(), strict=True))
        ranks = all_gather_object(values)
        names = sorted({name for rank in ranks for name in rank})
        having = {name: [number for number, rank in enumerate(ranks) if name in rank] for name in names}
        for name, numbers in having.items():
            if len(numbers) < len(ranks) and name not in self._said:
                self._said.add(name)
                log(f'{name} is computed by process {", ".join(map(str, numbers))} only, of {len(ranks)}: its mean is '
                    'over these. Where batches differ in what they have, gradients are still averaged over all')
        return {name: sum(ranks[number][name] for number in numbers) / len(numbers) for name, numbers in having.items()}

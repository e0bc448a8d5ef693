"""The training loop that can be cut at any iteration."""

import logging

from mmengine.dist import get_rank
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, IterBasedTrainLoop
from mmengine.runner.utils import calc_dynamic_intervals

from restorekit.messages import InputError
from restorekit.models.restorers import NonFiniteError
from restorekit.random import derive_seed, seed_generators
from restorekit.registry import LOOPS

from .interrupt import Interruption
from .loader import explained_workers


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """Iteration-based training whose randomness is counted, not stored.

    Before iteration i the global generators of rank r are seeded from (seed, r, i), and the sampler is put to draw
    i * batch size before the first batch is asked for. So a resumed run continues bit for bit, whatever the number of
    workers, and reads no past batch again. (A sampler without ``skip`` is advanced batch by batch.) A validation that
    was due at the iteration of the checkpoint resumed from is run first, since it may have been cut off. Ctrl-C ends
    the iteration and leaves a checkpoint of it (:class:`~restorekit.engine.interrupt.Interruption`).

    Args:
        runner (Runner): The runner.
        dataloader (dict | DataLoader): Training data; its sampler should be a :class:`CounterSampler`.
        max_iters (int): Iterations to train.
        val_begin (int): First iteration that may validate.
        val_interval (int): Iterations between validations; the last iteration always validates.
        dynamic_intervals (list[tuple[int, int]], optional): See MMEngine.
    """

    def __init__(self, runner, dataloader, max_iters, val_begin=1, val_interval=1000, dynamic_intervals=None):
        # not IterBasedTrainLoop's: it starts the workers, which prefetch before the iteration is known
        BaseLoop.__init__(self, runner, dataloader)
        if int(max_iters) != max_iters or max_iters < 1:
            raise InputError(f'train_cfg.max_iters must be a whole number of at least 1, but is {max_iters}')
        self._max_iters, self._max_epochs = int(max_iters), 1
        self._iter = self._epoch = 0
        self.val_begin, self.val_interval = val_begin, val_interval
        self.stop_training = False
        self.dynamic_milestones, self.dynamic_intervals = calc_dynamic_intervals(val_interval, dynamic_intervals)
        self.runner.visualizer.dataset_meta = getattr(self.dataloader.dataset, 'metainfo', None)

    def run(self):
        """Train until ``max_iters``; returns the model."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        batches = self._batches()
        try:
            with Interruption(self.runner) as interruption, explained_workers('train_dataloader'):
                self._train(batches, interruption)
        finally:  # end the workers now; left to the garbage collector, which closes their queues first, each takes 5 s
            batches.close()
            self.dataloader._iterator = None
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _train(self, batches, interruption):
        if self._iter > 0 and self._validation_due():
            self.runner.val_loop.run()
        seed, rank = self.runner.seed, get_rank()
        model = self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        if hasattr(model, 'start_at'):
            model.start_at(self._iter)
        self.runner.model.train()  # also puts what is frozen into eval mode
        while self._iter < self._max_iters and not self.stop_training:
            if not self.runner.model.training:
                self.runner.model.train()
            data_batch = interruption.next_batch(batches)
            seed_generators(derive_seed(seed, rank, self._iter))
            try:
                self.run_iter(data_batch)
            except NonFiniteError as error:
                last = self.runner.message_hub.get_info('last_ckpt')
                raise type(error)(
                    f'{error} at iteration {self._iter + 1} of {self._max_iters} ({self.runner.work_dir}); training '
                    f'stopped before the weights changed. The last good checkpoint is '
                    f'{last or "none yet (none was due)"}. Lower the learning rate, clip gradients '
                    '(optim_wrapper.clip_grad) or look at the batch.') from None
            interruption.after_iteration(self._iter)
            self._decide_current_val_interval()
            if self._validation_due():
                self.runner.val_loop.run()

    def _validation_due(self):
        return (self.runner.val_loop is not None and self._iter >= self.val_begin
                and (self._iter % self.val_interval == 0 or self._iter == self._max_iters))

    def _batches(self):
        sampler = self.dataloader.sampler
        if hasattr(sampler, 'skip'):
            sampler.skip(self._iter * self.dataloader.batch_size)
            advance = 0
        else:
            advance = self._iter
            if advance:
                print_log(f'{type(sampler).__name__} cannot skip: reading {advance} past batches again', 'current',
                          logging.WARNING)
        for number, batch in enumerate(self._passes()):
            if number >= advance:
                yield batch

    def _passes(self):
        while True:
            empty = True
            for batch in self.dataloader:
                empty = False
                yield batch
            if empty:
                raise InputError('the training data loader yields no batch: it has fewer images than a batch and '
                                 'drop_last=True; use a smaller batch_size or the endless CounterSampler')

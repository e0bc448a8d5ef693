"""The training loops that can be cut at any iteration."""

import bisect
from itertools import count

from mmengine.dist import get_rank, get_world_size
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, IterBasedTrainLoop
from mmengine.runner.utils import calc_dynamic_intervals

from restorekit.files.names import log
from restorekit.messages import InputError
from restorekit.models.restorers import NonFiniteError, NonFiniteWeightsError
from restorekit.random import derive_seed, seed_generators
from restorekit.registry import LOOPS

from .hooks import SafeCheckpointHook
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
            raise InputError(f'train_cfg.max_iters must be a whole number of at least 1, but got {max_iters}')
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
        self._run(self._train)
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _run(self, train):
        """Call ``train`` with the batches; an error between two iterations loses no weights."""
        self._stepping = False
        model = self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        if hasattr(model, 'start_at'):
            model.start_at(self._iter)
        batches = self._batches(self._iter)
        try:
            with Interruption(self.runner) as self._interruption, explained_workers('train_dataloader'):
                train(batches)
        except BaseException:
            if not self._stepping and not self._interruption.weights_are_swapped() and get_world_size() == 1:
                self._keep_weights()
            raise
        finally:  # end the workers now; left to the garbage collector, which closes their queues first, each takes 5 s
            batches.close()
            self.dataloader._iterator = None

    def _keep_weights(self):
        for hook in self.runner.hooks:
            if isinstance(hook, SafeCheckpointHook) and hook.save_last:
                try:
                    hook.save_cut(self.runner)
                except (OSError, NonFiniteWeightsError) as error:  # the error that ended training matters more
                    log(f'the last weights could not be saved: {error}')

    def _train(self, batches):
        if self._iter > 0 and self._validation_due():
            self.runner.val_loop.run()
        self.runner.model.train()  # also puts what is frozen into eval mode
        while self._iter < self._max_iters and not self.stop_training:
            self._step(batches)
            self._decide_current_val_interval()
            if self._validation_due():
                self.runner.val_loop.run()

    def _step(self, batches):
        """Run one iteration."""
        if not self.runner.model.training:
            self.runner.model.train()
        batch = self._interruption.next_batch(batches)
        seed_generators(derive_seed(self.runner.seed, get_rank(), self._iter))
        self._stepping = True
        try:
            self.run_iter(batch)
        except NonFiniteError as error:
            when = '' if isinstance(error, NonFiniteWeightsError) else ' before the weights changed'
            last = self.runner.message_hub.get_info('last_ckpt')
            raise type(error)(
                f'{error} at iteration {self._iter + 1} of {self._max_iters} ({self.runner.work_dir}); training '
                f'stopped{when}. The last good checkpoint is '
                f'{last or "none yet (none was due)"}. Lower the learning rate, clip gradients '
                '(optim_wrapper.clip_grad) or look at the batch.') from None
        self._stepping = False
        self._interruption.after_iteration(self._iter)

    def _validation_due(self):
        return (self.runner.val_loop is not None and self._iter >= self.val_begin
                and (self._iter % self.val_interval == 0 or self._iter == self._max_iters))

    def _batches(self, past, first=0):
        """Yield batches without end, after ``past`` of them; what cannot skip reads them again, from pass ``first``."""
        sampler = self.dataloader.sampler
        if hasattr(sampler, 'skip'):
            sampler.skip(self._iter * self.dataloader.batch_size)
            past = 0
        elif past:
            log(f'{type(sampler).__name__} cannot skip: reading {past} past batches again')
        for number, batch in enumerate(self._passes(first)):
            if number >= past:
                yield batch

    def _passes(self, first):
        for number in count(first):
            if hasattr(self.dataloader.sampler, 'set_epoch'):
                self.dataloader.sampler.set_epoch(number)
            empty = True
            for batch in self.dataloader:
                empty = False
                yield batch
            if empty:
                raise InputError('the training data loader yields no batch: it has fewer images than a batch and '
                                 'drop_last=True; use a smaller batch_size or the endless CounterSampler')


@LOOPS.register_module(name=['ResumableEpochLoop', 'EpochBasedTrainLoop'])
class ResumableEpochLoop(ResumableIterLoop):
    """Training counted in epochs, whose randomness is counted as well (see :class:`ResumableIterLoop`).

    An epoch is as many batches as the dataset fills; with the endless :class:`CounterSampler` too. In a config of
    restorekit this is MMEngine's ``EpochBasedTrainLoop``.

    Args:
        runner (Runner): The runner.
        dataloader (dict | DataLoader): Training data.
        max_epochs (int): Epochs to train.
        val_begin (int): First epoch that may validate.
        val_interval (int): Epochs between validations; the last epoch always validates.
        dynamic_intervals (list[tuple[int, int]], optional): See MMEngine.
    """

    def __init__(self, runner, dataloader, max_epochs, val_begin=1, val_interval=1, dynamic_intervals=None):
        if int(max_epochs) != max_epochs or max_epochs < 1:
            raise InputError(f'train_cfg.max_epochs must be a whole number of at least 1, but got {max_epochs}')
        super().__init__(runner, dataloader, 1, val_begin, val_interval, dynamic_intervals)
        self._max_epochs = int(max_epochs)
        self._max_iters = self._max_epochs * len(self.dataloader)
        if not self._max_iters:
            raise InputError('an epoch has no batch: the training data has fewer images than a batch and '
                             'drop_last=True; use a smaller batch_size')

    def run(self):
        """Train until ``max_epochs``; returns the model."""
        self.runner.call_hook('before_train')
        self._run(self._train)
        self.runner.call_hook('after_train')
        return self.runner.model

    def _train(self, batches):
        if self._iter > 0 and self._iter == self._epoch * len(self.dataloader) and self._validation_due():
            self.runner.val_loop.run()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.runner.call_hook('before_train_epoch')
            self.runner.model.train()
            for number in range(self._past(), len(self.dataloader)):
                self._number = number
                self._step(batches)
            self.runner.call_hook('after_train_epoch')
            self._epoch += 1
            self._decide_current_val_interval()
            if self._validation_due():
                self.runner.val_loop.run()

    def run_iter(self, data_batch):
        """Run one iteration; hooks count it within the epoch."""
        self.runner.call_hook('before_train_iter', batch_idx=self._number, data_batch=data_batch)
        outputs = self.runner.model.train_step(data_batch, optim_wrapper=self.runner.optim_wrapper)
        self.runner.call_hook('after_train_iter', batch_idx=self._number, data_batch=data_batch, outputs=outputs)
        self._iter += 1

    def _past(self):
        """Batches of this epoch that are done."""
        past = self._iter - self._epoch * len(self.dataloader)
        return past if 0 <= past <= len(self.dataloader) else 0  # resumed with another batch size

    def _batches(self, past, first=0):
        return super()._batches(self._past(), self._epoch)

    def _validation_due(self):
        return (self.runner.val_loop is not None and self._epoch >= self.val_begin
                and (self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs))

    def _decide_current_val_interval(self):
        step = bisect.bisect(self.dynamic_milestones, self._epoch + 1)
        self.val_interval = self.dynamic_intervals[step - 1]

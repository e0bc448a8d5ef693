"""MMEngine's runner, with checkpoints that are plain data, written whole and loaded strictly."""

import copy
import errno
import logging
import os.path as osp
import platform
import shutil
import time
from pathlib import Path

import mmengine
import torch
from mmengine.device import get_device
from mmengine.dist import get_dist_info, is_main_process
from mmengine.model import convert_sync_batchnorm, is_model_wrapper, revert_sync_batchnorm
from mmengine.runner import Runner, weights_to_cpu
from mmengine.utils import apply_to
from torch.utils.data import DataLoader

from restorekit import compat
from restorekit.checkpoint import (
    CheckpointError,
    CheckpointWriteError,
    atomic_save,
    load_checkpoint_file,
    load_from_http,
    load_matching_weights,
    load_network_weights,
    network_differences,
    network_json,
    network_state,
    plain,
    restore_history,
)
from restorekit.config import ConfigError
from restorekit.distributed import init_distributed, model_wrapper_cfg
from restorekit.evaluation import ImageMetric
from restorekit.files.names import TerminalFilter
from restorekit.messages import UserError
from restorekit.models.restorers import NonFiniteWeightsError
from restorekit.registry import HOOKS, MODEL_WRAPPERS, RUNNERS
from restorekit.version import __version__

from .completion import complete_config, schedulers
from .evaluation_loop import distinct
from .fully_sharded import (
    FullyShardedModel,
    check_available,
    is_fully_sharded,
    shard_like,
    shard_optimizer_state,
    shard_state,
    whole,
)
from .history import Histories
from .loader import TIMEOUT, CarryingLoader
from .log_file import LogFile
from .monitors import monitored
from .recompute import recompute
from .resume_check import check_resumable
from .schedule import TrainingSchedule
from .stored_paths import last_name, portable_config, stored_hub

CHECKPOINT_FORMAT = 1


@RUNNERS.register_module()
class RestoreRunner(Runner):
    """An MMEngine runner that differs in what it does with checkpoints and processes.

    - Checkpoints hold tensors, numbers, strings, lists and dicts only: they load with ``weights_only=True``. They
      carry the network's config and the whole config as JSON in ``meta['restorekit']``, never as Python text, and
      text found in a checkpoint is never executed.
    - They are written to a temporary file, synced and renamed.
    - ``load_from`` loads the network strictly and nothing else; resuming loads everything strictly.
    - ``launcher='pytorch'`` works without a GPU (gloo).
    - Only trainable parameters are given to the optimizer.
    - ``compile`` compiles the network, not the training step.
    - ``activation_checkpointing`` leaves BatchNorm's statistics as they would be without.
    - What a config leaves unsaid is completed (:func:`complete_config`).
    - What was changed in the optimizer or the schedule since a checkpoint was written holds when it is resumed.
    - :class:`BatchNormMeanHook`, :class:`GradientGuardHook`, :class:`EmbeddingMonitorHook`, :class:`BrokenFilesHook`
      and :class:`MetricFactsHook` are default hooks.
    - Gradients accumulated over iterations are saved and resumed.
    """

    plain_checkpoints = True  # what SafeCheckpointHook need not do

    #: Of a phase that continues the training of others: the checkpoint whose optimizer it takes over, and the
    #: iterations (epochs) of the schedule that are behind it.
    continued_from, schedule_offset = None, 0
    #: Where the config sets the network otherwise than the checkpoint that was loaded says of its own.
    network_differences = ()

    @classmethod
    def from_cfg(cls, cfg):
        """Build from a config, after completing it."""
        cfg = copy.deepcopy(cfg)
        complete_config(cfg, str(getattr(cfg, 'filename', None) or 'config'))
        return super().from_cfg(cfg)

    def setup_env(self, env_cfg):
        """Start the processes' group first where MMEngine cannot, then do as MMEngine does."""
        if self.distributed:
            init_distributed(self._launcher)
        super().setup_env(env_cfg)

    @staticmethod
    def build_dataloader(dataloader, seed=None, diff_rank_seed=False):
        """Build a loader that raises its workers' errors as they are; without workers, their options do not matter."""
        if isinstance(dataloader, dict) and not dataloader.get('num_workers'):
            dataloader = {key: value for key, value in dataloader.items()
                          if key not in ('persistent_workers', 'prefetch_factor', 'timeout')}
        elif isinstance(dataloader, dict):
            dataloader = dict(dataloader, timeout=dataloader.get('timeout') or TIMEOUT)
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        return CarryingLoader.adopt(loader) if type(loader) is DataLoader and loader.num_workers else loader

    def wrap_model(self, model_wrapper_cfg_, model):
        """Move to the device; in a distributed run wrap for DDP, with arguments that fit the CPU where it is one."""
        if is_model_wrapper(model):
            return model
        if not self.distributed or not any(parameter.requires_grad for parameter in model.parameters()):
            with compat.runner_building():
                return revert_sync_batchnorm(model.to(get_device()))
        if is_fully_sharded(self.cfg):
            model = model.to(get_device())
            model = convert_sync_batchnorm(model, self.cfg.sync_bn) if self.cfg.get('sync_bn') else model
            return MODEL_WRAPPERS.build(model_wrapper_cfg_, default_args=dict(module=model))
        unused = self.cfg.get('find_unused_parameters')  # which MMEngine reads where no wrapper is given
        given = {**({} if unused is None else {'find_unused_parameters': unused}), **(model_wrapper_cfg_ or {})}
        return super().wrap_model({**model_wrapper_cfg(), **given}, model)

    def build_logger(self, log_level='INFO', log_file=None, **kwargs):
        """Build MMEngine's logger; names in its messages, of domains for example, reach no terminal raw."""
        logger = super().build_logger(log_level, log_file, **kwargs)
        logger.addFilter(TerminalFilter())
        logger.handlers = [LogFile.like(handler) if type(handler) is logging.FileHandler else handler
                           for handler in logger.handlers]
        return logger

    def build_message_hub(self, message_hub=None):
        """Build the message hub; its histories grow in constant time."""
        hub = super().build_message_hub(message_hub)
        hub._log_scalars = Histories(hub.log_scalars)
        return hub

    def train(self):
        """Train; modules of ``activation_checkpointing`` are left to :func:`recompute`, not to MMEngine."""
        check_available(self.cfg)
        self._recomputed = self.cfg.pop('activation_checkpointing', None)
        return super().train()

    def _init_model_weights(self):
        """Initialise, unless a checkpoint is about to fill the network (pretrained weights need not be there then)."""
        if self._resume or self._sharded or (self._load_from and not self.cfg.get('load_matching')):
            return
        super()._init_model_weights()

    @property
    def _sharded(self):
        return getattr(self.model, 'sharded', False)

    def build_optim_wrapper(self, optim_wrapper):
        """Build the optimizer over what is trainable, after sharding a model that is to be sharded."""
        if isinstance(self.model, FullyShardedModel) and not self._sharded:
            self._init_model_weights()
            self.model.shard()
        if isinstance(optim_wrapper, dict) and 'optimizer' in optim_wrapper:
            model = self.model.module if is_model_wrapper(self.model) else self.model
            default = getattr(model, 'optim_wrapper_constructor', 'TrainableOptimWrapperConstructor')
            optim_wrapper.setdefault('constructor', default)
        with compat.runner_building():
            return super().build_optim_wrapper(optim_wrapper)

    def build_val_loop(self, loop):
        """Build the validation; of metrics that give one key the first is kept, or they are refused if they differ."""
        loop = super().build_val_loop(loop)
        evaluator = getattr(loop, 'evaluator', None)
        if evaluator is not None:
            ours = [metric for metric in evaluator.metrics if isinstance(metric, ImageMetric)]
            kept = distinct(ours)
            evaluator.metrics = [metric for metric in evaluator.metrics if metric in kept or metric not in ours]
        return loop

    def build_param_scheduler(self, scheduler):
        """Build the schedulers; one that watches a metric learns its key and its direction."""
        for place, node in schedulers(scheduler, 'param_scheduler'):
            if node.get('convert_to_iter_based') and 'end' not in node and 'max_iters' in self.cfg.train_cfg:
                node['end'] = -(-self.max_iters // len(self.train_dataloader))  # epochs; MMEngine would take one
            if str(node['type']).split('.')[-1].startswith('ReduceOnPlateau'):
                if self._val_loop is not None:
                    self._val_loop = self.build_val_loop(self._val_loop)
                node['monitor'], node['rule'] = monitored(self, node.get('monitor', 'loss'), node.get('rule'),
                                                          f'{place}.monitor')
        return super().build_param_scheduler(scheduler)

    def load_or_resume(self):
        """Load or resume as the config says; then take over the optimizer of the phase that is continued."""
        if getattr(self, '_recomputed', None):
            self.cfg.activation_checkpointing, self._recomputed = self._recomputed, None
            model = self.model.module if is_model_wrapper(self.model) else self.model
            recompute(model, self.cfg.activation_checkpointing)
            self.logger.info(f'Computed again in the backward pass: {self.cfg.activation_checkpointing}')
        if self._has_loaded:
            return
        resuming = self._resume
        if resuming and self._load_from is None:
            self._load_from = self._last_good()  # what last_checkpoint names, looked for in the work dir
        super().load_or_resume()
        if self.continued_from is not None and not resuming:
            state = load_checkpoint_file(self.continued_from, map_location='cpu' if self._sharded else get_device())
            fresh = TrainingSchedule(self)
            fresh.check(state, self.continued_from)
            if self._sharded:
                state['optimizer'] = shard_optimizer_state(state['optimizer'], self.optim_wrapper.optimizer)
            self.optim_wrapper.load_state_dict(state['optimizer'])
            fresh.replay(0, self.schedule_offset)
            unit = 'epoch' if 'max_epochs' in self.cfg.train_cfg else 'iteration'
            self.logger.info(f'The optimizer and its schedule continue at {unit} {self.schedule_offset}')

    def resume(self, filename, resume_optimizer=True, resume_param_scheduler=True, map_location='default'):
        """Resume as MMEngine does; what the config changed in optimizer, schedule or seed since then holds.

        Raises:
            ConfigError: If the checkpoint's optimizer is of other parameters.
        """
        fresh, seed = TrainingSchedule(self), self._randomness_cfg.get('seed')
        self._fresh_schedule = fresh
        super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        if seed is not None and seed != self._randomness_cfg.get('seed'):
            self._randomness_cfg.update(seed=seed)
            self.set_randomness(**self._randomness_cfg)
        if fresh.differs(self._resumed_config):
            fresh.replay(self.iter, self.schedule_offset)
            values = ', '.join(f'{name} {value[0]:.3g}' for name, value in self.optim_wrapper.get_lr().items())
            self.logger.info(f'The changed optimizer and schedule hold from iteration {self.iter}: {values}')

    def register_hook(self, hook, priority=None):
        """Register a hook; arguments that one of MMEngine refuses are an error of the config."""
        kind = hook.get('type') if isinstance(hook, dict) else None
        try:
            super().register_hook(hook, priority)
        except (ValueError, TypeError, AssertionError) as error:
            component = HOOKS.get(kind) if isinstance(kind, str) else kind
            if isinstance(error, UserError) or not getattr(component, '__module__', '').startswith('mmengine.'):
                raise
            raise ConfigError(f'the hook {component.__name__}: {error}') from error

    def register_default_hooks(self, hooks=None):
        """Register MMEngine's default hooks and the guards; ``default_hooks=dict(gradients=None)`` drops one."""
        guards = dict(runtime_info=dict(type='MeanRuntimeInfoHook'), batch_norm=dict(type='BatchNormMeanHook'),
                      gradients=dict(type='GradientGuardHook'), embeddings=dict(type='EmbeddingMonitorHook'),
                      broken_files=dict(type='BrokenFilesHook'), metric_facts=dict(type='MetricFactsHook'),
                      schedule_free=dict(type='ScheduleFreeHook'))
        given = {**guards, **(hooks or {})}
        super().register_default_hooks({name: hook for name, hook in given.items()
                                        if hook is not None or name not in guards})

    def _maybe_compile(self, target):
        """Compile the network's passes and not, as MMEngine, the whole training step, which breaks into pieces."""
        options = self.cfg.get('compile')
        if options is None or options is False:
            return
        network = (self.model.module if is_model_wrapper(self.model) else self.model).network
        for name in ('forward', 'forward_features', 'embed'):
            setattr(network, name, torch.compile(getattr(network, name), **({} if options is True else options)))
        self.logger.info(f'{type(network).__name__} is compiled at its first pass, which takes a while')

    def load_checkpoint(self, filename, map_location='cpu', strict=True, revise_keys=None):
        """Load the network's weights from ``filename`` (or, when resuming, everything), strictly.

        Raises:
            RuntimeError: If the file is a checkpoint of another network, or cannot be resumed from; names the keys.
        """
        read = load_from_http if '://' in str(filename) else load_checkpoint_file
        checkpoint = read(filename, map_location='cpu' if self._sharded else map_location)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        resuming = self._resume
        if resuming:
            check_resumable(checkpoint, self, model, str(filename))
        else:
            network, state = getattr(model, 'network', model), network_state(checkpoint, filename)
            state = shard_state(state, network) if self._sharded else state
            if 'network' in (self.cfg.get('model') or {}):
                self.network_differences = network_differences(checkpoint, self.cfg.model.network, filename)
            if self.cfg.get('load_matching'):
                self.logger.info(load_matching_weights(network, state, str(filename)))
            else:
                try:
                    load_network_weights(network, state, str(filename))
                except CheckpointError as error:
                    raise CheckpointError(f'{error}\n  To take over what fits, set load_matching=True') from error
            checkpoint = dict(state_dict=model.state_dict())  # what hooks such as EMAHook start from
        for key in ('config', 'cfg'):  # Python text; MMEngine's resume would execute it
            checkpoint.setdefault('meta', {}).pop(key, None)
        if resuming:
            checkpoint['message_hub'] = stored_hub(restore_history(checkpoint['message_hub']), self.work_dir)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        if resuming:
            self._fresh_schedule.check(checkpoint, str(filename))
            self._resumed_config = checkpoint['meta'].get('restorekit', {}).get('config')
            if self._sharded:
                checkpoint['state_dict'] = shard_state(checkpoint['state_dict'], model)
                if 'optimizer' in checkpoint:
                    checkpoint['optimizer'] = shard_optimizer_state(checkpoint['optimizer'],
                                                                    self.optim_wrapper.optimizer)
            load_network_weights(model, checkpoint['state_dict'], str(filename))
            for name, parameter in model.named_parameters():
                if name in checkpoint.get('gradients', ()):
                    parameter.grad = shard_like(checkpoint['gradients'][name].to(parameter.device), parameter)
        self._has_loaded = True
        self.logger.info(f'Loaded {"the state of training" if resuming else "the network"} from {filename}')
        return checkpoint

    def save_checkpoint(self, out_dir, filename, file_client_args=None, save_optimizer=True,
                        save_param_scheduler=True, meta=None, by_epoch=True, backend_args=None):
        """Write a checkpoint of plain data, whole or not at all; arguments as MMEngine's. Every process must call."""
        main = is_main_process()
        if not main and not self._sharded:
            return
        model = self.model.module if is_model_wrapper(self.model) else self.model
        state = model.state_dict()
        optimizer = self.optim_wrapper.state_dict() if save_optimizer else None
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        if self._sharded:
            state, optimizer, gradients = whole([state, optimizer, gradients], keep=main)
        if main:
            self._write_checkpoint(out_dir, filename, state, gradients, optimizer, save_param_scheduler,
                                   dict(meta or {}), by_epoch)

    def _write_checkpoint(self, out_dir, filename, state, gradients, optimizer, save_param_scheduler, meta, by_epoch):
        meta.setdefault('epoch', self.epoch + 1 if by_epoch else self.epoch)
        meta.setdefault('iter', self.iter if by_epoch else self.iter + 1)
        meta.update(seed=self.seed, experiment_name=self.experiment_name, time=time.strftime('%Y%m%d_%H%M%S'),
                    mmengine_version=mmengine.__version__,
                    restorekit=dict(format=CHECKPOINT_FORMAT, version=__version__, config=portable_config(self.cfg)))
        network = self.cfg.get('model', {}).get('network')
        model = self.model.module if is_model_wrapper(self.model) else self.model
        if network is not None:  # one that was found from a file of weights describes itself without it
            describe = getattr(getattr(model, 'network', None), 'description', None)
            meta['restorekit']['network'] = network_json(describe() if describe else network)
        if hasattr(self.train_dataloader.dataset, 'metainfo'):
            meta['dataset_meta'] = self.train_dataloader.dataset.metainfo

        bad = [name for name, value in state.items()
               if value.is_floating_point() and not value.isfinite().all()]
        if bad:
            raise NonFiniteWeightsError(f'{len(bad)} tensors of the model are NaN or infinite ({", ".join(bad[:5])}); '
                                        'they are not saved over good ones')

        def to_cpu(state):
            return apply_to(state, lambda x: hasattr(x, 'cpu'), lambda x: x.cpu())

        checkpoint = dict(meta=meta, state_dict=weights_to_cpu(state),
                          message_hub=to_cpu(stored_hub(self.message_hub.state_dict())))
        if optimizer is not None:
            checkpoint['optimizer'] = to_cpu(optimizer)
            if gradients:  # in the middle of an accumulation; a step leaves none
                checkpoint['gradients'] = to_cpu(gradients)
        if save_param_scheduler and self.param_schedulers is not None:
            schedulers = self.param_schedulers
            checkpoint['param_schedulers'] = \
                {name: [s.state_dict() for s in group] for name, group in schedulers.items()} \
                if isinstance(schedulers, dict) else [s.state_dict() for s in schedulers]
        self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        checkpoint = plain(checkpoint)
        path = osp.join(out_dir, filename)
        try:
            atomic_save(checkpoint, path)
        except (OSError, RuntimeError) as error:
            cause = error
            while cause is not None and not isinstance(cause, OSError):
                cause = cause.__context__
            if cause is None and 'inline_container' not in str(error):  # what torch makes of a disk's error
                raise
            reason = getattr(cause, 'strerror', None) or error
            free = shutil.disk_usage(out_dir).free / 2**20 if osp.isdir(out_dir) else 0
            raise CheckpointWriteError(
                getattr(cause, 'errno', None) or errno.EIO,
                f'{path} could not be written at iteration {meta["iter"]}: {reason} ({free:.0f} MiB free). Training '
                f'stopped. The last good checkpoint is {self._last_good() or "none yet"}; make room, then '
                'continue with --resume') from error

    def _last_good(self):
        pointer = osp.join(self.work_dir, 'last_checkpoint')
        name = last_name(Path(pointer).read_text(errors='replace').strip()) if osp.isfile(pointer) else None
        return osp.join(self.work_dir, name) if name else None

    def get_hooks_info(self):
        """Name the hooks in one line (MMEngine lists each at every stage)."""
        return ', '.join(type(hook).__name__ for hook in self._hooks)

    def _log_env(self, env_cfg):
        """Log in one line what helps to read the log; the config is in the work dir."""
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else \
            f'CPU, {torch.get_num_threads()} threads'
        self.logger.info(
            f'restorekit {__version__}, Python {platform.python_version()}, torch {torch.__version__}, MMEngine '
            f'{mmengine.__version__} on {device}; {get_dist_info()[1]} process(es); seed {self._seed}; '
            f'work dir {self.work_dir}')

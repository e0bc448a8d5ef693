"""Training in phases: a chain of plain runners, each continued where it was cut."""

import copy
import json
import logging
import shutil
import time
import uuid
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import get_rank, is_main_process
from mmengine.hooks import Hook

from restorekit.config import ConfigError, RestoreConfig, phase_config
from restorekit.distributed import broadcast_object, init_distributed, run_on_main
from restorekit.files.atomic import atomic_write_text, remove_temporaries
from restorekit.files.lock import lock_folder, unlock_folder
from restorekit.files.names import log
from restorekit.messages import (
    ExistingFileError,
    MissingFileError,
    UserError,
    WriteError,
    unknown_name_message,
)
from restorekit.registry import RUNNERS

from .completion import loop_length, schedulers
from .config_check import PHASE_KEYS, TOP_LEVEL_KEYS
from .config_diff import differences, relevant
from .fully_sharded import check_available, check_fully_sharded
from .hooks import SafeCheckpointHook
from .phase_checks import check_continuation, check_start
from .prepare import prepare
from .run_state import STATE_FILE, read_state
from .runner import RestoreRunner
from .stored_paths import last_name
from .summary import describe_model
from .unread_keys import check_phase
from .value_check import check_kinds, check_trainable

SINGLE_PHASE = 'train'


class MetricsRecorder(Hook):
    """Keep the metrics of the last validation, and whether training has begun."""

    def __init__(self):
        self.metrics, self.iteration, self.begun = {}, None, False

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Training has begun: from here on there is something to keep."""
        self.begun = True

    def after_val_epoch(self, runner, metrics=None):
        """Remember ``metrics`` as plain numbers."""
        self.metrics = {key: float(value) for key, value in (metrics or {}).items()}
        self.iteration = runner.iter


@RUNNERS.register_module()
class MultiPhaseRunner:
    """Run a config's phases in order, each as an ordinary MMEngine runner in a folder of its own.

    A config without ``phases`` is one phase, run in the work dir itself. A phase is a dict of overrides on the config;
    three of its keys are not the runner's: ``frozen`` (see :class:`~restorekit.models.restorers.Restorer`);
    ``init_from``: where the network's weights come from (``'previous'``, the default; ``'best'``: the best checkpoint
    of the previous phase; another phase's name; a path; None); and ``continue_training=True``: take over the optimizer
    of the previous phase too, and go on with its schedule, which then runs over both. No other training state (banks,
    teachers) is handed over.

    The end of each phase is recorded in ``run_state.json``, written whole or not at all. Run again with ``resume``,
    finished phases are skipped and the cut one continues at its last checkpoint. A finished phase whose
    ``train_cfg.max_iters`` (``max_epochs``) has grown is extended: it continues from its last checkpoint.

    ``resume=True`` in the config means the argument; with ``load_from`` the first phase continues that checkpoint.

    Args:
        cfg (Config | dict): The config. ``work_dir`` must be set.
        resume (bool): Continue what ``work_dir`` holds.
        phase (str, optional): Run this phase alone.
        allow_config_change (bool): Resume although a config differs from the one its phase was started with.

    Raises:
        ConfigError: For a mistake in any phase's config, before the first one starts; from ``train``, if ``resume``
            finds configs changed in what bears on the result.
        FileExistsError: If ``work_dir`` holds a run and ``resume`` is False.
    """

    def __init__(self, cfg, resume=False, phase=None, allow_config_change=False):
        self.cfg = cfg if isinstance(cfg, Config) else RestoreConfig(cfg)
        resume = resume or bool(self.cfg.get('resume'))
        self.where = str(self.cfg.filename or 'config')
        self.resume, self.allow_config_change = resume, allow_config_change
        self.hooks = []  # further hooks (objects) of every phase
        self.announce = _log  # is told the start of each phase and the like, on the main process
        self.work_dir = Path(self.cfg.work_dir)
        check_kinds(self.cfg, self.where)
        phases = self.cfg.get('phases')
        self.single = not phases
        self.phases = {SINGLE_PHASE: {}} if self.single else dict(phases)
        if phase is not None and phase not in self.phases:
            raise ConfigError(f'{self.where}: ' + unknown_name_message(phase, self.phases, 'phases of this config'))
        self.only = phase
        self.state_path = self.work_dir / STATE_FILE
        self.state = read_state(self.state_path)
        self.recorded, self.models, self.extended = {}, {}, []
        self.begun = False  # whether an iteration has been trained
        self.configs = {name: self.phase_config(name) for name in self.phases}
        for name in self.phases:
            check_continuation(name, self.configs, self.models, self.where)
            check_start(name, self.configs, self.where, phase, lambda name: self.checkpoint(name, 'best_checkpoint'))

    @classmethod
    def from_cfg(cls, cfg):
        """Build from a config alone, as MMEngine's runners."""
        return cls(cfg)

    def phase_config(self, name):
        """Return the complete, checked config of one phase."""
        where = self.where if self.single else f'{self.where}, phase {name!r}'
        cfg = RestoreConfig(self.cfg.to_dict(), filename=self.cfg.filename) if self.single else \
            phase_config(self.cfg, name)
        if not self.single:
            check_phase(name, self.phases[name] or {}, TOP_LEVEL_KEYS | PHASE_KEYS, where)
        check_kinds(cfg, where)
        check_trainable(cfg, where)
        init_from = cfg.get('init_from', 'previous')
        names = list(self.phases)
        if isinstance(init_from, str) and init_from not in ('previous', 'best') and \
                init_from not in names[:names.index(name)] and not Path(init_from).is_file():
            known = ['previous', 'best', *names[:names.index(name)]]
            raise ConfigError(f'{where}: init_from={init_from!r} is neither an earlier phase nor a file; '
                              + unknown_name_message(init_from, known, 'values of init_from'))
        load_from = cfg.get('load_from')
        if load_from and load_from != self.cfg.get('load_from') and name != names[0]:
            raise ConfigError(f'{where}: load_from is where the first phase starts; here say init_from={load_from!r}')
        if load_from and '://' not in load_from and not Path(load_from).is_file():
            raise MissingFileError(f'{where}: load_from names {Path(load_from).absolute()}, which is not there')
        self.recorded[name] = relevant(cfg)  # before the data root is joined: data may be moved
        _, length = self._schedule(name)
        if length != loop_length(cfg):
            for _, node in schedulers(cfg.get('param_scheduler'), ''):
                node.setdefault('end', length)
        self.models[name] = prepare(cfg, where, phase=not self.single, schedule_length=length)
        check_fully_sharded(cfg, self.models[name], where)
        cfg.work_dir = str(self.work_dir if self.single else self.work_dir / name)
        stem = Path(self.where).stem
        cfg.experiment_name = f'{stem}_{name}_{uuid.uuid4().hex[:6]}'  # MMEngine keeps singletons under this name
        return cfg

    def _schedule(self, name):
        """Where a phase begins in the schedule that it shares with the phases it continues, and how long that is."""
        if self.single:
            return 0, loop_length(self.cfg)
        names = list(self.phases)
        parts = {other: phase_config(self.cfg, other) for other in names}
        first = last = names.index(name)
        while first > 0 and parts[names[first]].get('continue_training'):
            first -= 1
        while last + 1 < len(names) and parts[names[last + 1]].get('continue_training'):
            last += 1
        if first == last:
            return 0, loop_length(parts[name])
        lengths = [loop_length(parts[other]) or 0 for other in names[first:last + 1]]
        return sum(lengths[:names.index(name) - first]), sum(lengths)

    def train(self):
        """Train what is left to train; returns the last phase's model."""
        for name in [self.only] if self.only else self.phases:
            check_available(self.configs[name])
        init_distributed(self.cfg.get('launcher', 'none'))
        made = [folder for folder in (self.work_dir, *self.work_dir.parents) if not folder.exists()]
        try:
            return self._train()
        except BaseException:
            if not self.begun and is_main_process():
                self._take_back(made)
            raise

    def _take_back(self, made):
        """Remove the folders that a start made which failed before the first iteration."""
        if self.work_dir in made:
            shutil.rmtree(self.work_dir, ignore_errors=True)
            for folder in made[1:]:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()

    def _train(self):
        run_on_main(self._claim_work_dir)
        try:
            return self._train_phases()
        finally:
            if is_main_process():
                unlock_folder(self.work_dir)

    def _train_phases(self):
        self.state, self.extended = broadcast_object((self.state, self.extended))
        model = None
        names = [self.only] if self.only else list(self.phases)
        for number, name in enumerate(names, 1):
            if self.resume and self.state['phases'].get(name, {}).get('finished') and name not in self.extended:
                gone = self.checkpoint(name) is None and self.state['phases'][name].get('checkpoint')
                self._say(f'Phase {name}: finished before, skipped'
                          + (f'; its checkpoint {gone} is gone' if gone else ''))
                continue
            if not self.single:
                self._say(f'Phase {number} of {len(names)}: {name}')
            model = self._train_phase(name)
        return model

    def _train_phase(self, name):
        cfg = copy.deepcopy(self.configs[name])
        init_from, continues = cfg.pop('init_from', 'previous'), cfg.pop('continue_training', False)
        cfg.resume, cfg.load_from = run_on_main(self._start, name, init_from, cfg.get('load_from'))
        if cfg.resume and not Path(cfg.load_from).is_file():
            raise MissingFileError(f'process {get_rank()} has no {cfg.load_from}, which the first one resumes from; '
                                   'put the work dir on a disk that all machines share')
        runner = RestoreRunner.from_cfg(cfg)
        runner.schedule_offset, _ = self._schedule(name)
        if continues and not cfg.resume:
            runner.continued_from = cfg.load_from
        runner.logger.info(describe_model(runner.model, self.configs[name]))
        if hasattr(runner.model, 'init_weights') and cfg.load_from:
            runner.logger.info(f'{name} starts from {cfg.load_from}')
        recorder = MetricsRecorder()
        for hook in (*self.hooks, recorder):
            runner.register_hook(hook, priority='LOWEST')
        start = time.time()
        try:
            model = runner.train()
        finally:
            self.begun = self.begun or recorder.begun
        record, info = self.state['phases'].setdefault(name, {}), runner.message_hub.get_info
        best = next((hook.best_checkpoint() for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)), None)
        record.update(finished=True, checkpoint=self._relative(name, info('last_ckpt')),
                      best_checkpoint=self._relative(name, best), best_metrics=info('best_metrics', {}),
                      iterations=runner.iter, metrics_iteration=recorder.iteration,
                      seconds=round(record.get('seconds', 0) + time.time() - start, 1), metrics=recorder.metrics,
                      align_grad_share=_mean_scalar(runner, 'train/align_grad_share'),
                      align_loss=_mean_scalar(runner, 'train/loss_align'))
        if is_main_process():
            self._write_state()
        runner.visualizer.close()
        return model

    def last_checkpoint(self, name):
        """The last complete checkpoint of a phase, or None."""
        # a file of this name is complete; a kill may have come before last_checkpoint was told of the newest
        numbered = {int(path.stem[5:]): path for folder in self._folders(name) for path in folder.glob('iter_*.pth')
                    if path.stem[5:].isdecimal()}
        if numbered:
            return numbered[max(numbered)]
        pointer = self._folder(name) / 'last_checkpoint'
        return self._find(name, pointer.read_text(errors='replace').strip()) if pointer.is_file() else None

    def _folder(self, name):
        return self.work_dir if self.single else self.work_dir / name

    def _folders(self, name):
        """Where the checkpoints of a phase may lie: its folder, and its part of the checkpoint hook's ``out_dir``."""
        folder = self._folder(name)
        elsewhere = ((self.configs[name].get('default_hooks') or {}).get('checkpoint') or {}).get('out_dir')
        return [folder] if elsewhere is None else [folder, Path(elsewhere, folder.name)]

    def _find(self, name, stored):
        """The file of a phase that a stored path names by its last part: the work dir may be a copy, or moved."""
        file = last_name(stored)
        found = [folder / file for folder in self._folders(name) if file and (folder / file).is_file()]
        return found[0] if found else None

    def _start(self, name, init_from, load_from):
        """Where a phase starts: (True, its own last checkpoint) or (False, the checkpoint of its first weights)."""
        last = self.last_checkpoint(name) if self.resume else None
        if last is not None:
            return True, str(last)
        if self.cfg.get('resume') and load_from and name == next(iter(self.phases)):
            return True, load_from
        return False, self._initial_weights(name, init_from, load_from)

    def _relative(self, name, path):
        """A checkpoint's path below the work dir without it, so that the work dir may be moved."""
        file = last_name(path)
        return file if self.single or file is None else f'{name}/{file}'

    def checkpoint(self, name, which='checkpoint'):
        """The recorded last (or ``'best_checkpoint'``) checkpoint of a finished phase; None if it is not there."""
        return self._find(name, self.state['phases'].get(name, {}).get(which))

    def _initial_weights(self, name, init_from, load_from):
        names = list(self.phases)
        position = names.index(name)
        if init_from is None or (position == 0 and init_from in ('previous', 'best')):
            return load_from
        if init_from not in ('previous', 'best') and init_from not in names:
            return init_from
        if load_from and self.only:
            return load_from
        source = init_from if init_from in names else names[position - 1]
        path = self.checkpoint(source, 'best_checkpoint') if init_from == 'best' else self.last_checkpoint(source)
        if path is None or not Path(path).is_file():
            which = 'best checkpoint (is default_hooks.checkpoint.save_best set?)' if init_from == 'best' \
                else 'checkpoint'
            raise MissingFileError(f'phase {name!r} starts from phase {source!r}, but {self.work_dir / source} has no '
                                   f'{which}; train that phase first, or give --load-from FILE')
        return str(path)

    def _claim_work_dir(self):
        """Lock the work dir, which one run at a time writes to, and see that it holds nothing or this run."""
        there = self.work_dir.is_dir()
        if there:
            lock_folder(self.work_dir)
        try:
            self.state = read_state(self.state_path)  # as the run that had the folder until now has left it
            self._check_run()
            try:
                self.work_dir.mkdir(parents=True, exist_ok=True)
                lock_folder(self.work_dir)
                remove_temporaries(self.work_dir)
                self._write_state()
            except UserError:
                raise
            except OSError as error:
                text = f'the work dir {self.work_dir} cannot be written to ({error.strerror}); pass another --work-dir'
                raise WriteError(error.errno, f'{text}. Nothing was changed') from error
        except BaseException:
            unlock_folder(self.work_dir)
            raise

    def _check_run(self):
        names = [self.only] if self.only else self.phases
        outside = [self._folder(name) for name in names if self._leads_out(self._folder(name))]
        if outside:
            raise ExistingFileError(f'{outside[0]} is a link to {outside[0].resolve()}, outside the work dir, where '
                                    'this run removes and overwrites nothing; remove the link')
        holds_run = self.state['phases'] or any(self.last_checkpoint(name) for name in self.phases)
        redoing = self.only is not None and self.last_checkpoint(self.only) is None
        if holds_run and not self.resume and not redoing:
            raise ExistingFileError(f'{self.work_dir} already holds a run; pass --resume to continue it, or another '
                                    '--work-dir to start anew (nothing was changed)')
        if holds_run:
            self._check_changes()
            self._extend()
        elif self.resume:
            self._say(f'Nothing to resume in {self.work_dir}: starting from the beginning')
        self.state['configs'] = {**self.state.get('configs', {}), **{name: self.recorded[name] for name in names}}

    def _leads_out(self, folder):
        return folder.is_symlink() and not folder.resolve().is_relative_to(self.work_dir.resolve())

    def _extend(self):
        """Find the finished phases that are to train longer than they did."""
        for name in [self.only] if self.only else self.phases:
            record, old = self.state['phases'].get(name, {}), self.state.get('configs', {}).get(name, {})
            before, after = loop_length(old), loop_length(self.configs[name])
            done = record.get('iterations') or 0
            last = self.last_checkpoint(name)
            if not record.get('finished') and last is not None and 'max_iters' in self.configs[name].train_cfg:
                done = int(last.stem[5:]) if last.stem[5:].isdecimal() else 0
                if done > after:
                    raise ConfigError(f'phase {name!r} has trained {done} iterations and cannot be resumed to train '
                                      f'fewer, but got train_cfg.max_iters={after}')
            if record.get('finished') and before and after and after > before:
                if last is None:
                    raise ConfigError(f'phase {name!r} cannot be extended: it left no checkpoint')
                self._say(f'Phase {name}: extended from {before} to {after}, continues at iteration {done}')
                self.extended.append(name)
                record['finished'] = False

    def _check_changes(self):
        """Refuse, unless told not to, to go on with phases that were started with another config."""
        started = {name: cfg for name, cfg in self.state.get('configs', {}).items()
                   if name in (self.phases if self.only is None else [self.only])
                   and (name in self.state['phases'] or self.last_checkpoint(name) is not None)}
        lines = [line if self.single else f'{name}: {line}' for name, cfg in started.items()
                 for line in differences(cfg, self.recorded[name])]
        text = f'the config is not the one {self.work_dir} was started with:\n  ' + '\n  '.join(lines)
        if lines and not self.allow_config_change:
            raise ConfigError(f'{text}\nTake the change back, start anew in another --work-dir, or pass '
                              '--allow-config-change to go on with it (finished phases stay as they are, unless they '
                              'are to train longer; nothing was changed)')
        if lines:
            self._say(text)

    def _write_state(self):
        atomic_write_text(json.dumps(self.state, indent=2) + '\n', str(self.state_path))

    def _say(self, text):
        if is_main_process():
            self.announce(text)


def _log(text):
    log(text, logging.INFO)


def _mean_scalar(runner, name):
    if name not in runner.message_hub.log_scalars:
        return None
    return float(runner.message_hub.get_scalar(name).mean())

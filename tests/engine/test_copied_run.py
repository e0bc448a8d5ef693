"""What a run removes lies in its own folder, whatever its checkpoints say; one folder has one run."""

import copy
import json
import os
import shutil
import subprocess
import sys
import uuid

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from tiny import PAIR, config

from restorekit.checkpoint import load_checkpoint_file
from restorekit.engine import MultiPhaseRunner, RestoreRunner
from restorekit.engine.hooks import SafeCheckpointHook
from restorekit.engine.stored_paths import last_name, portable_config, stored_info
from restorekit.files.lock import FolderInUseError
from restorekit.messages import ExistingFileError


def best_config(folder, iters=4, **changes):
    cfg = config(folder, iters=iters, interval=1, **changes)
    cfg['custom_hooks'] = []
    cfg['default_hooks']['checkpoint'].update(save_best='source/PSNR@rgb', rule='greater')
    return cfg


def scored(monkeypatch, scores):
    """Let validations give these scores, one after the other."""
    scores = iter(scores)
    monkeypatch.setattr(
        SafeCheckpointHook, 'after_val_epoch', lambda self, runner, metrics:
        CheckpointHook.after_val_epoch(self, runner, {'source/PSNR@rgb': next(scores)}))


def train(cfg, **changes):
    MultiPhaseRunner(Config(cfg), **changes).train()


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*.pth')}


@pytest.mark.slow
@pytest.mark.parametrize('phases', [None, dict(only={})])
def test_a_resumed_copy_leaves_the_original_alone(tmp_path, monkeypatch, phases):
    scored(monkeypatch, [1.0, 2.0])
    train(best_config(tmp_path / 'A', iters=2, phases=phases))
    before = files(tmp_path / 'A')
    assert sum('best_' in name for name in before) == 1
    shutil.copytree(tmp_path / 'A', tmp_path / 'B')
    state = json.loads((tmp_path / 'B' / 'run_state.json').read_text())
    for record in state['phases'].values():
        record['finished'] = False
    (tmp_path / 'B' / 'run_state.json').write_text(json.dumps(state))
    scored(monkeypatch, [2.0, 3.0, 4.0])
    train(best_config(tmp_path / 'B', phases=phases), resume=True, allow_config_change=True)
    assert files(tmp_path / 'A') == before
    folder = tmp_path / 'B' / ('only' if phases else '')
    assert [path.name for path in folder.glob('best_*')] == ['best_source_PSNR@rgb_iter_4.pth']  # its own old ones went


@pytest.fixture(scope='module', params=['SafeCheckpointHook', 'CheckpointHook'])
def short(request, tmp_path_factory):
    """The config of a run of one iteration with one of the hooks, and its folder, to be copied."""
    folder = tmp_path_factory.mktemp('short') / 'run'
    cfg = best_config(folder, iters=1)
    cfg['default_hooks']['checkpoint']['type'] = request.param
    if request.param == 'CheckpointHook':
        cfg['default_hooks']['checkpoint']['by_epoch'] = False
    train(cfg)
    return cfg, folder


@pytest.mark.slow
@pytest.mark.parametrize('best, steps', [('{victim}', ['/../../victim'] * 4), ('../victim.pth', '{victim}'),
                                         ('run_state.json', {'{victim}': 1}), (['{victim}'], [3.5, None, -1])])
def test_a_crafted_checkpoint_has_nothing_removed(tmp_path, short, best, steps):
    (tmp_path / 'iter_').mkdir()  # iter_/../../victim.pth
    victim = tmp_path / 'victim.pth'
    victim.write_text('precious')
    cfg = copy.deepcopy(short[0])
    cfg['work_dir'] = str(shutil.copytree(short[1], tmp_path / 'run'))
    path = tmp_path / 'run' / 'iter_1.pth'
    checkpoint = load_checkpoint_file(path)
    hostile = json.loads(json.dumps(dict(best_ckpt=best, last_ckpt=best, keep_ckpt_ids=steps, cut_ckpt_ids=steps))
                         .replace('{victim}', str(victim)))
    checkpoint['message_hub']['runtime_info'].update(hostile, best_score=-1e9)
    checkpoint['message_hub']['resumed_keys'].update(dict.fromkeys(hostile, True))
    torch.save(checkpoint, path)
    state = json.loads((tmp_path / 'run' / 'run_state.json').read_text())
    state['phases']['train']['finished'] = False
    (tmp_path / 'run' / 'run_state.json').write_text(json.dumps(state))
    cfg['train_cfg']['max_iters'] = 2
    train(cfg, resume=True, allow_config_change=True)
    assert victim.read_text() == 'precious'
    assert (tmp_path / 'run' / 'run_state.json').is_file()


@pytest.mark.slow
def test_with_the_stock_runner_too(tmp_path):
    def run(**changes):
        cfg = best_config(tmp_path / 'run', **changes)
        cfg['train_cfg']['type'] = 'IterBasedTrainLoop'
        Runner.from_cfg(Config(dict(cfg, experiment_name=uuid.uuid4().hex, resume='resume' in changes),
                               format_python_code=False)).train()
    run(iters=2)
    victim = tmp_path / 'best_victim.pth'
    victim.write_text('precious')
    checkpoint = load_checkpoint_file(tmp_path / 'run' / 'iter_2.pth')
    checkpoint['message_hub']['runtime_info'].update(best_ckpt=str(victim), best_score=-1e9)
    torch.save(checkpoint, tmp_path / 'run' / 'iter_2.pth')
    run(iters=3, resume=True)  # it finds the checkpoint by last_checkpoint
    assert victim.read_text() == 'precious' and (tmp_path / 'run' / 'iter_3.pth').is_file()


@pytest.mark.slow
def test_a_state_file_names_nothing_outside(tmp_path):
    outside = tmp_path / 'iter_9.pth'
    outside.write_text('x')
    cfg = config(tmp_path / 'run', iters=2, phases=dict(first={}, second={}))
    train(cfg, phase='first')
    state = json.loads((tmp_path / 'run' / 'run_state.json').read_text())
    for path in (str(outside), '../iter_9.pth', '../../iter_9.pth'):
        state['phases']['first'].update(checkpoint=path, best_checkpoint=path)
        (tmp_path / 'run' / 'run_state.json').write_text(json.dumps(state))
        runner = MultiPhaseRunner(Config(cfg))
        assert runner.checkpoint('first') is None and runner.checkpoint('first', 'best_checkpoint') is None
    for path in (tmp_path / 'run' / 'first').glob('iter_*.pth'):
        path.unlink()
    (tmp_path / 'run' / 'first' / 'last_checkpoint').write_text(str(outside))
    assert runner.last_checkpoint('first') is None


@pytest.mark.parametrize('text', [
    '[]', '{"phases": []}', '{"phases": {"train": 3}}', '{"phases": {"train": {"checkpoint": 3}}}', '[' * 100000,
    '{"phases": {"train": {"metrics": [1]}}}', '{"phases": {}, "configs": []}', '\udcff'])
def test_a_malformed_state_file_is_named(tmp_path, text):
    (tmp_path / 'run_state.json').write_bytes(text.encode('utf-8', 'surrogateescape'))
    with pytest.raises(ValueError, match=f'{tmp_path}/run_state.json is not the state of a run'):
        MultiPhaseRunner(Config(config(tmp_path)))


def test_a_phase_folder_that_leads_elsewhere_is_refused(tmp_path):
    (tmp_path / 'other').mkdir()
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'first').symlink_to(tmp_path / 'other')
    with pytest.raises(ExistingFileError, match='first is a link to .*other, outside the work dir'):
        train(config(tmp_path / 'run', phases=dict(first={})))
    assert not list((tmp_path / 'other').iterdir())


@pytest.mark.slow
def test_checkpoints_in_another_folder_are_found_again(tmp_path):
    cfg = config(tmp_path / 'run', iters=2, phases=dict(first={}, second={}))
    cfg['default_hooks']['checkpoint']['out_dir'] = str(tmp_path / 'big_disk')
    train(cfg)
    runner = MultiPhaseRunner(Config(cfg), resume=True)
    assert runner.last_checkpoint('first') == tmp_path / 'big_disk' / 'first' / 'iter_2.pth'
    assert runner.checkpoint('first') == tmp_path / 'big_disk' / 'first' / 'iter_2.pth'
    runner.train()  # nothing left to do


@pytest.mark.slow
def test_checkpoints_carry_no_places_of_this_machine(tmp_path):
    (tmp_path / 'data' / 'hazy').mkdir(parents=True)
    cfg = best_config(tmp_path / 'run', iters=2, data_root=str(tmp_path / 'data'))
    cfg['custom_hooks'] = [dict(type='StripHook', per_domain=1)]
    train(cfg)
    for path in (tmp_path / 'run').glob('*.pth'):
        assert str(tmp_path).encode() not in path.read_bytes(), path
    meta = load_checkpoint_file(tmp_path / 'run' / 'iter_2.pth')['meta']['restorekit']
    assert json.loads(meta['config'])['model']['type'] == 'CIDRestorer'


def test_paths_in_a_recorded_config_are_relative_to_the_data_root():
    cfg = Config(dict(data_root='/data/sets', load_from='/home/me/x.pth', work_dir='runs/a',
                      train_dataloader=dict(dataset=dict(hazy_dir='/data/sets/its/hazy', gt_dir='its/clear',
                                                         list_file='/elsewhere/train.txt'))))
    record = json.loads(portable_config(cfg))
    assert record == dict(load_from='x.pth', work_dir='runs/a', train_dataloader=dict(dataset=dict(
        hazy_dir='its/hazy', gt_dir='its/clear', list_file='train.txt')))


@pytest.mark.parametrize('path', ['', '..', '/', 'a/..', '.', '\0', 'a\0b', None, 3, b'x', ['a']])
def test_what_is_no_name_is_none(path):
    assert last_name(path) is None
    assert stored_info(dict(best_ckpt=path, last_ckpt=path, iter=2), '/run') == dict(iter=2)


HOLDER = """
import sys, time
from restorekit.files.lock import lock_folder
lock_folder(sys.argv[1])
print('held', flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_second_run_in_a_folder_is_refused_and_the_first_keeps_its_files(tmp_path):
    cfg = config(tmp_path / 'run', iters=2)
    train(cfg)
    temporary = tmp_path / 'run' / 'kept.tmp'
    temporary.write_text('')
    before = sorted(path.name for path in (tmp_path / 'run').iterdir())
    assert '.lock' not in before  # a run that ends leaves none
    holder = subprocess.Popen([sys.executable, '-c', HOLDER, str(tmp_path / 'run')], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b'held\n'
        for resume in (True, False):
            with pytest.raises(FolderInUseError, match=f'run is in use: process {holder.pid} on .*, since .2'):
                train(cfg, resume=resume)
    finally:
        holder.kill()
        holder.wait()
    assert [name for name in sorted(os.listdir(tmp_path / 'run')) if not name.startswith('.lock')] == before
    train(cfg, resume=True)  # the lock went with its process
    assert '.lock' not in os.listdir(tmp_path / 'run')


def test_workers_do_not_keep_the_lock_of_a_killed_run(tmp_path):
    """Data workers are forked with the lock's file open, and live for seconds after their parent."""
    code = HOLDER.replace("print('held', flush=True)", "import os\nif os.fork():\n    print('held', flush=True)")
    holder = subprocess.Popen([sys.executable, '-c', code, str(tmp_path)], stdout=subprocess.PIPE,
                              start_new_session=True)
    assert holder.stdout.readline() == b'held\n'
    holder.kill()
    holder.wait()
    try:
        train(config(tmp_path, iters=1, interval=1))
    finally:
        os.killpg(holder.pid, 9)


@pytest.mark.slow
def test_the_rest_of_a_run_after_a_cut_logs_the_same_share(tmp_path):
    def cfg(name):
        result = config(tmp_path / name, iters=6, interval=1)
        result['train_dataloader']['dataset'] = PAIR
        result['model'].update(alignment=dict(type='CORALLoss', loss_weight=0.1), share_interval=3)
        for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
            result.pop(key)
        result['custom_hooks'] = []
        result['default_hooks']['checkpoint']['max_keep_ckpts'] = 9
        return result

    def run(cfg, **changes):
        runner = RestoreRunner.from_cfg(Config(dict(cfg, experiment_name=uuid.uuid4().hex, **changes),
                                               format_python_code=False))
        runner.train()
        return runner.message_hub.get_scalar('train/align_grad_share').data[0].tolist()
    whole = run(cfg('whole'))
    assert len(whole) == 2
    assert run(cfg('whole'), resume=True, load_from=str(tmp_path / 'whole' / 'iter_2.pth')) == whole



"""A run that is killed in the middle of its second phase ends as if it had not been."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from mmengine.config import Config
from tiny import PHASES, config

import restorekit
from restorekit.checkpoint import load_checkpoint_file
from restorekit.cli.main import main


def test_kill_and_resume_is_bit_identical(tmp_path):
    cfg = config('unused', iters=4, interval=2, phases=PHASES)
    cfg.pop('work_dir')
    cfg['phases']['supervised']['train_cfg'] = dict(max_iters=24, val_interval=12)
    file = tmp_path / 'tiny.py'
    Config(cfg).dump(str(file))
    killed, whole = tmp_path / 'killed', tmp_path / 'whole'

    env = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='',
               PYTHONPATH=str(Path(restorekit.__file__).parents[1]))
    with open(tmp_path / 'log', 'w') as log:
        command = [sys.executable, '-m', 'restorekit.cli.main', 'train', str(file), '--work-dir', str(killed)]
        run = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while not (killed / 'supervised' / 'iter_4.pth').exists():
                assert run.poll() is None and time.monotonic() < deadline, (tmp_path / 'log').read_text()
                time.sleep(0.002)
        finally:
            run.send_signal(signal.SIGKILL)
            assert run.wait() == -signal.SIGKILL
    assert not (killed / 'supervised' / 'iter_24.pth').exists()  # it was in the middle

    assert main(['train', str(file), '--work-dir', str(killed), '--resume']) == 0
    assert main(['train', str(file), '--work-dir', str(whole)]) == 0
    for phase, last in (('pretrain', 4), ('supervised', 24), ('adapt', 4)):
        assert not list((killed / phase).glob('*.tmp*'))
        a, b = (load_checkpoint_file(folder / phase / f'iter_{last}.pth') for folder in (killed, whole))
        assert a['state_dict'].keys() == b['state_dict'].keys()
        for key, value in a['state_dict'].items():
            assert torch.equal(value, b['state_dict'][key]), (phase, key)

"""Training and testing in two processes without a GPU, started as tools/dist_train.sh starts them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from machine import environment, forks
from tiny import PHASES, config, fork, scenes

import restorekit
from restorekit.cli.main import main
from restorekit.config import RestoreConfig

ROOT = Path(restorekit.__file__).parents[1]
HOOK = """
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class DumpWeights(Hook):
    def after_train(self, runner):
        torch.save(runner.model.module.state_dict(), f'{runner.work_dir}/rank_{get_rank()}.pt')
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def launch(tool, folder, *args):
    env = environment(folder, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_addr=127.0.0.1',
         f'--master_port={free_port()}', str(ROOT / 'tools' / tool), *map(str, args), '--launcher', 'pytorch'],
        env=env, capture_output=True, text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def measure(rank, port, folder, checkpoint):
    """Be one of two processes of ``restorekit test --launcher pytorch``."""
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1',
                      MASTER_PORT=str(port))
    arguments = 'test', folder / 'one.py', checkpoint, '--out', folder / 'two', '--launcher', 'pytorch'
    sys.exit(main(list(map(str, arguments))))


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed')
@forks
def test_two_processes_train_the_phases_and_test_as_one(tmp_path):
    (tmp_path / 'two_process_hooks.py').write_text(HOOK)
    cfg = config('unused', iters=2, phases=PHASES, custom_imports=dict(imports=['two_process_hooks']))
    cfg.pop('work_dir')
    cfg['custom_hooks'].append(dict(type='DumpWeights'))
    cfg['val_dataloader']['dataset'] = scenes(length=5, scene_seed=9, domain='source')  # odd: one rank has one more
    RestoreConfig(cfg).dump(str(tmp_path / 'two.py'))
    out = launch('train.py', tmp_path, 'two.py', '--work-dir', tmp_path / 'run')
    assert out.count('=== Phase') == 3 and out.count('Checkpoint:') == 1  # only one process speaks
    for phase in PHASES:
        folder = tmp_path / 'run' / phase
        assert [path.name for path in folder.glob('*.pth')] == ['iter_2.pth']
        ranks = [torch.load(folder / f'rank_{rank}.pt') for rank in range(2)]
        for key, value in ranks[0].items():
            assert torch.equal(value, ranks[1][key]), (phase, key)

    checkpoint = tmp_path / 'run' / 'adapt' / 'iter_2.pth'
    cfg.pop('custom_imports')
    cfg['custom_hooks'].pop()
    RestoreConfig(cfg).dump(str(tmp_path / 'one.py'))
    assert fork(measure, free_port(), tmp_path, checkpoint, ranks=2) == [0, 0]
    assert main(['test', str(tmp_path / 'one.py'), str(checkpoint), '--out', str(tmp_path / 'one')]) == 0
    one, two = (json.loads((tmp_path / name / 'summary.json').read_text())['metrics'] for name in ('one', 'two'))
    assert two == one and 'source/PSNR@rgb' in one

"""Distributed training on machines without a GPU."""

import json
import os
import socket
import subprocess
import sys
from datetime import timedelta

import pytest
import torch
from machine import environment

import restorekit
from restorekit.distributed import init_distributed, model_wrapper_cfg
from restorekit.messages import UnavailableError

WORKER = """
import json, sys, torch
from mmengine.dist import all_gather, get_rank
from mmengine.model import BaseModel
from mmengine.runner import Runner, runner as module
from restorekit.distributed import end_distributed, init_distributed, model_wrapper_cfg

torch.set_num_threads(1)
module.collect_env = dict  # a log entry that takes seconds
init_distributed('pytorch')


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(self.linear.weight)

    def forward(self, x, mode='loss'):
        return {'loss': self.linear(torch.stack(x).float()).mean()}


data = [{'x': torch.tensor([float(i)])} for i in (1, 3)]
runner = Runner(
    Model(), work_dir=sys.argv[1], launcher='pytorch', cfg={'model_wrapper_cfg': model_wrapper_cfg()},
    train_dataloader={'dataset': data, 'batch_size': 1, 'sampler': {'type': 'InfiniteSampler', 'shuffle': False}},
    train_cfg={'type': 'IterBasedTrainLoop', 'max_iters': 2}, optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
    default_hooks={'checkpoint': None, 'logger': None}, log_level='ERROR', experiment_name='gloo')
runner.train()
weights = all_gather(runner.model.module.linear.weight.data)
json.dump([float(w) for w in weights], open(f'{sys.argv[1]}/{get_rank()}.json', 'w'))
del runner
end_distributed()
if sys.platform == 'linux':  # the C++ runtime may abort a process that exits while these threads run
    import os
    threads = [open(f'/proc/self/task/{task}/comm').read() for task in os.listdir('/proc/self/task')]
    assert not any('gloo' in name for name in threads), threads
"""


@pytest.fixture
def cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed')
def test_two_processes_train_as_one_without_a_gpu(tmp_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    env = environment(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2', OMP_NUM_THREADS='1',
                      CUDA_VISIBLE_DEVICES='')
    workers = [subprocess.Popen([sys.executable, '-c', WORKER, str(tmp_path)], stderr=subprocess.PIPE, text=True,
                                env={**env, 'RANK': str(rank), 'LOCAL_RANK': str(rank)}) for rank in range(2)]
    try:
        errors = [worker.communicate(timeout=120)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], errors
    # each iteration the ranks see x = 1 and x = 3: the gradient of the mean of w * x is 2
    for rank in range(2):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == pytest.approx([1 - 2 * 0.1 * 2] * 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason='mmengine alone starts where there is a GPU')
def test_mmengine_alone_starts_nothing_without_a_gpu(monkeypatch):
    from mmengine.dist import init_dist
    for name, value in {'RANK': '0', 'LOCAL_RANK': '0', 'WORLD_SIZE': '1', 'MASTER_ADDR': '127.0.0.1'}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((AttributeError, RuntimeError, AssertionError), match='(?i)cuda|nvidia'):
        init_dist('pytorch', backend='gloo')


def test_wrapper_asks_for_no_gpu_where_there_is_none(cpu, monkeypatch):
    assert model_wrapper_cfg() == {'type': 'MMDistributedDataParallel', 'device_ids': None}
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert 'device_ids' not in model_wrapper_cfg()  # mmengine fills in the rank's own


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_launcher_that_needs_cuda_says_so(cpu, launcher):
    with pytest.raises(RuntimeError, match=f"launcher='{launcher}' needs CUDA.*torchrun"):
        init_distributed(launcher)


@pytest.mark.parametrize(('launcher', 'given', 'message'), [
    ('slurm', {}, 'needs SLURM_PROCID, SLURM_NTASKS, SLURM_NODELIST in the environment.*srun'),
    ('slurm', dict(SLURM_PROCID='0', SLURM_NODELIST='a'), 'needs SLURM_NTASKS in'),
    ('mpi', dict(MASTER_ADDR='a'), 'needs OMPI_COMM_WORLD_LOCAL_RANK, OMPI_COMM_WORLD_RANK, .*mpirun'),
    ('mpi', dict(OMPI_COMM_WORLD_LOCAL_RANK='0', OMPI_COMM_WORLD_RANK='0', OMPI_COMM_WORLD_SIZE='1'),
     'needs MASTER_ADDR in'),
    ('pytorch', {}, 'needs RANK, LOCAL_RANK, .*torchrun'),
    ('slurm', dict(SLURM_PROCID='5', SLURM_NTASKS='8', SLURM_NODELIST='a', SLURM_LOCALID='1'),
     'process 1 of this machine, counted from 0, has no GPU of its own: torch finds 1. .*not --gpus-per-task'),
    ('mpi', dict(OMPI_COMM_WORLD_LOCAL_RANK='2', OMPI_COMM_WORLD_RANK='2', OMPI_COMM_WORLD_SIZE='4', MASTER_ADDR='a'),
     'process 2 of .*one process per GPU$'),
    ('pytorch', dict(RANK='1', LOCAL_RANK='1', WORLD_SIZE='2', MASTER_ADDR='a', MASTER_PORT='1'),
     'process 1 of .*one process per GPU$')])
def test_launcher_with_cuda_says_what_it_lacks(monkeypatch, launcher, given, message):
    for name in (*os.environ,):
        if name.startswith(('SLURM', 'OMPI', 'MASTER_')) or name.endswith(('RANK', 'WORLD_SIZE')):
            monkeypatch.delenv(name)
    monkeypatch.setenv('LOCAL_RANK', '0')  # 'mpi' writes it: it is put back
    if launcher != 'mpi':
        monkeypatch.delenv('LOCAL_RANK')
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    with pytest.raises(UnavailableError, match=f"^launcher='{launcher}' {message}" if 'needs' in message else message):
        init_distributed(launcher)


def test_launcher_outside_torchrun_says_so(cpu, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    monkeypatch.setenv('WORLD_SIZE', '1')
    with pytest.raises(RuntimeError, match='needs RANK, .*torchrun --nproc-per-node'):
        init_distributed('pytorch')


@pytest.mark.slow
def test_processes_do_not_wait_for_ever_for_others(cpu, monkeypatch):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))  # and never listens
        env = dict(RANK='1', LOCAL_RANK='1', WORLD_SIZE='2', MASTER_ADDR='127.0.0.1',
                   MASTER_PORT=str(probe.getsockname()[1]))
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(restorekit.distributed, '_MEET_WITHIN', timedelta(seconds=1))
        with pytest.raises(RuntimeError, match='process 1 of 2 has not met the others at 127.0.0.1.* within 1 s'):
            init_distributed('pytorch')


def test_unknown_launcher_names_the_known():
    with pytest.raises(ValueError, match="'torchrun'; it can be none, pytorch, slurm, mpi"):
        init_distributed('torchrun')


def test_no_launcher_starts_nothing():
    init_distributed('none')
    assert not torch.distributed.is_initialized()

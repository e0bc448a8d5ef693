"""Studies as arrays of a scheduler, with submitit's executors that need none."""

import json
import time

import pytest
from test_study import TEXT, made_up

from restorekit.cli.main import main
from restorekit.config import ConfigError
from restorekit.messages import InputError, MissingDependencyError
from restorekit.tasks import study as tasks
from restorekit.tasks.submit_study import submit_study

SMALL = '''
options = {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'default_hooks.checkpoint.interval': 2}
variants = dict(erm=dict())
domains = dict(haze=dict())
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'a_study.py'
    path.write_text(TEXT)
    return path


def test_the_shares_of_an_array_are_all_jobs_each_once(file, tmp_path, monkeypatch):
    pytest.importorskip('submitit')
    monkeypatch.setattr(tasks, '_train', made_up)
    monkeypatch.chdir(tmp_path)
    jobs = submit_study('a_study.py', 'out', shares=3, cluster='debug', variants=['erm'])
    states = [job.result() for job in jobs]
    ran = [state.ran for state in states]
    assert [len(names) for names in ran] == [2, 1, 1] and all(name.startswith('erm/') for name in sum(ran, []))
    assert len(set(sum(ran, []))) == 4 == states[-1].finished and states[-1].total == 8
    assert len(list((tmp_path / 'out').rglob('ran.txt'))) == 4


def test_mistakes_are_told_before_anything_is_submitted(file, tmp_path, monkeypatch):
    pytest.importorskip('submitit')
    with pytest.raises(InputError, match='shares must be at least 1, but got 0'):
        submit_study(file, tmp_path, shares=0, cluster='debug')
    with pytest.raises(InputError, match="cluster must be one of 'slurm', 'local', 'debug', but got 'pbs'"):
        submit_study(file, tmp_path, shares=1, cluster='pbs')
    with pytest.raises(InputError, match="cannot submit to 'debug': .*colour"):
        submit_study(file, tmp_path, shares=1, cluster='debug', parameters=dict(colour='red'))
    monkeypatch.setenv('PATH', str(tmp_path))  # no sbatch here
    with pytest.raises(InputError, match="cannot submit to 'slurm'"):
        submit_study(file, tmp_path, shares=1)
    file.write_text(TEXT + 'variants = {}\n')
    with pytest.raises(ConfigError, match='variants must be a dict of at least one variant'):
        submit_study(file, tmp_path, shares=1, cluster='debug')
    monkeypatch.setitem(__import__('sys').modules, 'submitit', None)
    with pytest.raises(MissingDependencyError, match=r'restorekit\[cluster\].*--job I/N'):
        submit_study(file, tmp_path, shares=1)


@pytest.mark.slow
def test_processes_of_this_machine_take_the_place_of_a_cluster(file, tmp_path, capsys):
    submitit = pytest.importorskip('submitit')
    file.write_text(TEXT + SMALL)
    out = tmp_path / 'out'
    assert main(['study', str(file), '--out', str(out), '--cluster', 'local', '--workers', '2', '--cluster-options',
                 'timeout_min=10', '--cfg-options', 'optim_wrapper.optimizer.lr=1e-4']) == 0
    numbers = capsys.readouterr().out.splitlines()[0].split(': ')[1].split(';')[0].split(', ')
    deadline = time.time() + 300
    while len(list((out / 'cluster').glob('*_result.pkl'))) < 2 and time.time() < deadline:
        time.sleep(0.2)
    jobs = [submitit.LocalJob(out / 'cluster', number) for number in numbers]
    assert [job.result().ran for job in jobs] == [['erm/haze/seed0'], ['erm/haze/seed1']]
    results = [json.loads(path.read_text()) for path in sorted(out.rglob('result.json'))]
    assert [result['iterations'] for result in results] == [2, 2]
    assert main(['study', str(file), '--out', str(out), '--cluster', 'local', '--job', '1/2']) == 1
    assert 'leave out --job' in capsys.readouterr().err

"""The study runner: which jobs, each once, continued, refused when changed, and a report that ignores the order."""

import json
import math
import multiprocessing
import os
import shutil
import signal
import time

import numpy as np
import pytest
from tiny import fork

from restorekit.cli.main import main
from restorekit.config import ConfigError
from restorekit.evaluation.statistics import (
    detectable_difference,
    holm,
    images_needed,
    sign_flip_test,
    student_t_test,
    variance_parts,
)
from restorekit.evaluation.study_summary import summarise_study
from restorekit.files.lock import lock_folder
from restorekit.messages import InputError, MissingFileError
from restorekit.tasks import study as tasks
from restorekit.tasks.study import study, study_report
from restorekit.tasks.study_file import Job, Study

TEXT = '''
base = 'domains/tiny'
hypothesis = 'a hypothesis'
analysis = 'an analysis'
variants = dict(erm=dict(), other=dict(options={'optim_wrapper.optimizer.lr': 1e-4}))
domains = dict(haze=dict(options={'train_dataloader.dataset.source.weights.haze': 0.0}),
               dust=dict(options={'train_dataloader.dataset.source.weights.dust': 0.0}))
seeds = [0, 1]
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'a_study.py'
    path.write_text(TEXT)
    return path


def values(seed, gain=0.0):
    """The numbers of a made-up result."""
    drawn = np.random.default_rng(seed).normal(20, 1, (2, 5)) + gain
    return {'PSNR@rgb': dict(higher_is_better=True, unit='dB', sets={
        name: {f'{i}': [float(value), 10.0] for i, value in enumerate(row)}
        for name, row in zip(('haze', 'dust'), drawn, strict=True)})}


def made_up(job, cfg, folder, options):
    """In the place of training: note that the job ran, and return a result."""
    with open(folder / 'ran.txt', 'a') as file:
        file.write(f'{os.getpid()}\n')
    time.sleep(0.05)
    metrics = values(job.seed, 0.5 * (job.variant == 'other'))
    return dict(failed=None, metrics=metrics, curve=[[2, {'haze/PSNR@rgb': 1.0, 'dust/PSNR@rgb': 2.0}]],
                iterations=2, seconds=1.0 + (job.variant == 'other'), run='run')


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(tasks, '_train', made_up)


def test_a_job_has_the_options_of_study_domain_variant_and_trial_in_this_order(tmp_path):
    path = tmp_path / 's.py'
    path.write_text(TEXT + '''
options = {'train_cfg.max_iters': 7, 'optim_wrapper.optimizer.lr': 1.0, 'train_dataloader.batch_size': 1}
variants = dict(a=dict(options={'optim_wrapper.optimizer.lr': 2.0}, trials=[{}, {'optim_wrapper.optimizer.lr': 3.0}]),
                b=dict(trials=[{}, {}]))
''')
    found = Study(path)
    jobs = found.jobs()
    assert len(jobs) == len(set(jobs)) == 2 * 2 * 2 * 2
    cfg = found.config(Job('a', 'dust', 1, 1), options={'train_dataloader.batch_size': 3})
    assert (cfg.train_cfg.max_iters, cfg.optim_wrapper.optimizer.lr, cfg.train_dataloader.batch_size) == (7, 3.0, 3)
    assert cfg.train_dataloader.dataset.source.weights == dict(haze=0.5, dust=0.0) and cfg.randomness.seed == 1
    assert cfg.custom_hooks[-1] == dict(type='PerImageHook', pictures=['dust'])
    assert Job('a', 'dust', 1, 1).name == 'a/dust/seed1/trial1' and Job('a/b', '..', 0).name == 'a_b/__/seed0'


@pytest.mark.parametrize(('change', 'message'), [
    ("variant = dict(a=dict())", "'variant' is not in the keys of a study; did you mean 'variants'"),
    ("domains = {}", 'domains must be a dict of at least one domain, but got'),
    ("detect = 'a lot'", "detect is a difference in the unit of the metric, a number above 0, but got 'a lot'"),
    ("hypothesis = ' '", 'hypothesis is missing; say before the first run what you expect'),
    ("baseline = 'erms'", "baseline 'erms' is not in the variants of this study; did you mean 'erm'"),
    ("variants = dict(a=dict(option={}))", "variant 'a': 'option' is not in the keys of a variant"),
    ("variants = dict(a=dict(trials=[{}, {}]), b=dict())", "equally many trials .* got {'a': 2, 'b': 1}")])
def test_mistakes_in_a_study_are_named(tmp_path, change, message):
    path = tmp_path / 's.py'
    path.write_text(TEXT + change + '\n')
    with pytest.raises(ConfigError, match=message):
        Study(path)


def test_shares_divide_the_jobs(file):
    jobs = Study(file).jobs()
    shares = [tasks._share(jobs, (i, 3)) for i in (1, 2, 3)]
    assert sorted(sum(shares, []), key=jobs.index) == jobs and max(map(len, shares)) == 3
    with pytest.raises(InputError, match='1 <= I <= N, but got 4/3'):
        tasks._share(jobs, (4, 3))


@pytest.mark.slow
def test_some_variants_can_be_run_alone(file, tmp_path, no_training):
    state = study(file, tmp_path / 'out', variants=['erm'])
    assert state.ran == [f'erm/{domain}/seed{seed}' for seed in (0, 1) for domain in ('haze', 'dust')]
    assert state.finished == 4 and state.total == 8 and state.running == []
    assert study_report(tmp_path / 'out')['summary']['metrics']['PSNR@rgb']['power'][0]['seeds'] == 2
    with pytest.raises(InputError, match="'er' is not in the variants of .*did you mean 'erm' or 'other'"):
        study(file, tmp_path / 'out', variants=['er'])


@pytest.mark.slow
def test_processes_that_share_a_folder_run_each_job_once(file, tmp_path, no_training):
    out = tmp_path / 'out'
    assert fork(lambda rank: study(file, out), ranks=3) == [0, 0, 0]
    ran = [path.read_text().split() for path in out.rglob('ran.txt')]
    assert len(ran) == 8 and all(len(pids) == 1 for pids in ran)
    assert len({pids[0] for pids in ran}) > 1  # they did divide them
    state = study(file, out)
    assert (state.total, state.finished, state.ran, state.running, state.failed) == (8, 8, [], [], {})
    assert state.report.is_file()


def test_the_job_of_a_dead_owner_is_taken_again(file, tmp_path, no_training, monkeypatch):
    out, started = tmp_path / 'out', tmp_path / 'started'

    def die(job, cfg, folder, options):
        started.write_text(job.name)
        os.kill(os.getpid(), signal.SIGKILL)

    def first():
        monkeypatch.setattr(tasks, '_train', die)
        study(file, out, job=(1, 8))
    assert fork(first) == -signal.SIGKILL
    assert started.read_text() == 'erm/haze/seed0' and not list(out.rglob('result.json'))
    state = study(file, out, job=(1, 8))
    assert state.ran == ['erm/haze/seed0'] and state.finished == 1 and state.report is None


@pytest.mark.slow
def test_a_job_whose_lock_is_held_is_left_alone(file, tmp_path, no_training):
    out = tmp_path / 'out'
    folder = out / 'jobs' / 'erm' / 'haze' / 'seed0'
    folder.mkdir(parents=True)
    held, release = multiprocessing.Event(), multiprocessing.Event()

    def hold():
        lock_folder(folder)
        held.set()
        release.wait(60)
    owner = multiprocessing.get_context('fork').Process(target=hold)
    owner.start()
    assert held.wait(60)
    state = study(file, out)
    release.set()
    owner.join()
    assert state.running == ['erm/haze/seed0'] and state.finished == 7 and len(state.ran) == 7


@pytest.mark.slow
def test_what_was_to_be_written_before_the_first_run_cannot_change(file, tmp_path, no_training):
    out = tmp_path / 'out'
    study(file, out, job=(1, 8))
    for old, new, message in (
            ('a hypothesis', 'another', 'the hypothesis changed since the first run'),
            ('an analysis', 'another', 'the analysis changed'),
            ("variants = dict(erm=dict(),", 'baseline = "x"\nvariants = dict(x=dict(),', 'all runs are reported'),
            ("weights.haze': 0.0", "weights.haze': 0.1", 'config of job erm/haze/seed0 is not the one')):
        file.write_text(TEXT.replace(old, new))
        with pytest.raises(ConfigError, match=message):
            study(file, out)
    file.write_text(TEXT.replace('[0, 1]', '[0, 1, 2]'))  # a study may grow
    assert study(file, out, job=(1, 12)).finished == 1


@pytest.mark.slow
def test_the_report_does_not_depend_on_the_order(file, tmp_path, no_training):
    study(file, tmp_path / 'a')
    jobs = json.loads((tmp_path / 'a' / 'study.json').read_text())['jobs']
    for i in (5, 1, 8, 3, 2, 7, 6, 4):
        study(file, tmp_path / 'b', job=(i, len(jobs)))
    for name in ('report.json', 'report.md', 'report.html'):
        assert (tmp_path / 'a' / name).read_text() == (tmp_path / 'b' / name).read_text()
    record = json.loads((tmp_path / 'a' / 'study.json').read_text())
    results = [dict(made_up_result(entry), job=entry, folder=str(entry)) for entry in jobs]
    assert summarise_study(record, results) == summarise_study(record, results[::-1])


def made_up_result(entry):
    return dict(failed=None, metrics=values(entry['seed'], 0.5 * (entry['variant'] == 'other')), curve=[], iterations=2,
                seconds=1.0, run='run')


@pytest.mark.slow
def test_the_numbers_of_the_report(file, tmp_path, no_training):
    study(file, tmp_path / 'out')
    summary = study_report(tmp_path / 'out')['summary']
    found = summary['metrics']['PSNR@rgb']
    rows = {(row['variant'], row['domain']): row for row in found['rows']}
    for place, domain in enumerate(('haze', 'dust')):
        table = np.array([np.random.default_rng(seed).normal(20, 1, (2, 5))[place] for seed in (0, 1)])
        row = rows['erm', domain]
        assert row['mean'] == pytest.approx(table.mean()) and row['input'] == 10.0
        assert row['sd'] == pytest.approx(table.mean(axis=1).std(ddof=1)) and row['difference'] is None
        row = rows['other', domain]
        assert row['difference'] == pytest.approx(0.5) and row['wins'] == 2 and row['others_difference'] == \
            pytest.approx(0.5)
        # every image and every seed differ by 0.5, up to rounding
        assert row['p'] == sign_flip_test([0.5] * 5) == 0.0625
    overall = {row['variant']: row for row in found['overall']}
    assert overall['other']['wins'] == overall['other']['cells'] == 4
    assert overall['other']['p'] == sign_flip_test([0.5] * 4) == 0.125 and overall['other']['verdict'] == 'open'
    assert summary['cost'] == dict(erm=dict(seconds=1.0, times=1.0), other=dict(seconds=2.0, times=2.0))
    assert summary['cells']['erm'] == dict(haze=[2, 2], dust=[2, 2])
    assert summary['curves']['dust']['erm'] == [[2, 2.0]] and summary['regressions'] == []
    assert [power['domain'] for power in found['power']] == ['haze', 'dust', 'mean of all']
    means = [np.random.default_rng(seed).normal(20, 1, (2, 5)).mean() for seed in (0, 1)]
    deviation = abs(means[0] - means[1]) / math.sqrt(2)
    together = found['power'][2]
    assert together['sd'] == pytest.approx(deviation) and together['standard_error'] == pytest.approx(deviation)
    assert together['detectable'] == pytest.approx(detectable_difference(deviation, 2)) and together['images'] == 10
    haze = np.array([np.random.default_rng(seed).normal(20, 1, (2, 5))[0] for seed in (0, 1)])
    assert found['power'][0]['parts'] == variance_parts(haze) and together['parts'] is None
    assert found['power'][0]['images_needed'] == images_needed(*variance_parts(haze), 2, 0.2)


def test_holm_and_the_worst_of_two_tests_decide(file):
    record = dict(Study(file).record(), jobs=[])
    rng, results = np.random.default_rng(3), []
    for variant, gain in (('erm', 0.0), ('other', 0.8)):
        for domain in ('haze', 'dust'):
            for seed in (0, 1):
                numbers = rng.normal(20 + gain, 0.1, 12)
                sets = {name: {f'{i}': [float(v), None] for i, v in enumerate(numbers)} for name in ('haze', 'dust')}
                job = dict(variant=variant, domain=domain, seed=seed, trial=0)
                metrics = {'PSNR@rgb': dict(higher_is_better=True, unit='dB', sets=sets)}
                results.append(dict(job=job, folder='', failed=None, curve=[], seconds=1.0, iterations=1, run='',
                                    metrics=metrics))
    rows = [row for row in summarise_study(record, results)['metrics']['PSNR@rgb']['rows'] if row['p'] is not None]
    tables = {(r['job']['variant'], r['job']['domain'], r['job']['seed']):
              np.array([v[0] for v in r['metrics']['PSNR@rgb']['sets']['haze'].values()]) for r in results}
    expected = []
    for domain in ('haze', 'dust'):
        change = np.array([tables['other', domain, seed] - tables['erm', domain, seed] for seed in (0, 1)])
        expected.append(max(sign_flip_test(change.mean(axis=0)), student_t_test(change.mean(axis=1))))
    assert [row['p'] for row in rows] == pytest.approx(expected)
    assert [row['p_holm'] for row in rows] == pytest.approx(holm(expected))


def test_the_trial_is_chosen_by_the_domains_that_were_trained_on(file, tmp_path):
    record = dict(Study(file).record(), variants=dict(erm={}), domains=dict(haze={}), seeds=[0],
                  test_sets=dict(haze=['haze']), jobs=[])

    def result(trial, haze, dust):
        sets = {name: {'1': [value, None]} for name, value in (('haze', haze), ('dust', dust))}
        return dict(job=dict(variant='erm', domain='haze', seed=0, trial=trial), folder='', failed=None, curve=[],
                    seconds=1.0, iterations=1, run='', metrics={'MAE@rgb': dict(
                        higher_is_better=False, unit='', sets=sets)})
    summary = summarise_study(record, [result(0, 1.0, 5.0), result(1, 9.0, 3.0), result(2, 0.0, 4.0)])
    assert summary['chosen'] == dict(erm=dict(haze=1))
    assert summary['metrics']['MAE@rgb']['rows'][0]['mean'] == 9.0


def test_a_folder_without_results_has_no_report(tmp_path):
    with pytest.raises(MissingFileError, match='holds no study'):
        study_report(tmp_path)


@pytest.mark.slow
def test_the_tiny_study_runs_from_the_command_in_two_processes_and_continues(tmp_path, capsys):
    out = tmp_path / 'out'
    command = ['study', 'studies/tiny', '--out', str(out), '--cfg-options', 'train_cfg.max_iters=4',
               'train_cfg.val_interval=2', 'default_hooks.checkpoint.interval=2']
    assert main([*command, '--job', '1/8']) == 0
    assert '1 of 8 jobs are finished' in capsys.readouterr().out
    first = out / 'jobs' / 'erm' / 'haze' / 'seed0'
    done = json.loads((first / 'result.json').read_text())
    (first / 'result.json').unlink()  # as if it had been cut after its last checkpoint: continued, not begun again
    assert main([*command, '--workers', '2']) == 0
    shown = capsys.readouterr().out
    assert '8 of 8 jobs are finished' in shown and 'report.html' in shown and 'mmengine' not in shown
    again = json.loads((first / 'result.json').read_text())
    assert again['metrics'] == done['metrics'] and again['curve'] == done['curve']
    assert [iteration for iteration, _ in done['curve']] == [2, 4] and done['iterations'] == 4
    page = (out / 'report.html').read_text()
    assert 'Worst regressions' in page and 'data:image/jpeg;base64,' in page and '<polyline' in page
    assert '<script' not in page and page.count('<img') % 2 == 0
    assert main(['study', '--report', str(out)]) == 0
    assert (out / 'report.html').read_text() == page
    shutil.rmtree(out / 'jobs' / 'coral')
    assert main(['study', '--report', str(out)]) == 0
    assert '0 of 2' in (out / 'report.md').read_text()

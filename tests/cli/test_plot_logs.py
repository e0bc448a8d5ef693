import json
import sys

import pytest

from restorekit.cli.main import main
from restorekit.evaluation import runs
from restorekit.files.image_io import read_image
from restorekit.messages import InputError
from restorekit.registry import METRICS
from restorekit.tasks.plot_logs import plot_logs


def call(*arguments):
    return main(['plot-logs', *map(str, arguments)])


def write(folder, *entries, tail=''):
    """Write a log as MMEngine's LocalVisBackend does."""
    path = folder / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(json.dumps(entry) for entry in entries) + tail)


def trained(step, loss, **more):
    return dict(loss=loss, lr=0.1, time=1.0, iter=step, step=step, **more)


def validated(step, psnr, mae=0.1):
    return {'val/PSNR@rgb': psnr, 'val/input_PSNR@rgb': 12.0, 'val/MAE@rgb': mae, 'time': 9.0, 'step': step}


@pytest.fixture
def run_folder(tmp_path):
    """Two phases, the second resumed at 200 after its first process died at 260."""
    folder = tmp_path / 'run'
    # by name 'adapt' would be first, and by time 'pretrain' is
    write(folder / 'pretrain' / '20260101_100000', trained(50, 0.9), trained(100, 0.5, loss_align=0.3),
          validated(100, 15.0))
    write(folder / 'adapt' / '20260101_110000', trained(100, 0.4), trained(200, 0.3), validated(200, 18.0, 0.05),
          trained(250, 7.0), tail='\n{"loss": 0.2, "ste')
    write(folder / 'adapt' / '20260101_120000', validated(200, 17.5), trained(300, 0.35), validated(300, 17.0, 0.07))
    return folder


def test_a_resumed_phase_is_read_as_one_and_phases_follow_each_other(run_folder):
    phases = runs.read_run(run_folder)
    assert list(phases) == ['pretrain', 'adapt']
    assert runs.curve(phases, 'loss') == [
        (50, 0.9, 'pretrain'), (100, 0.5, 'pretrain'), (200, 0.4, 'adapt'), (300, 0.3, 'adapt'), (350, 7.0, 'adapt'),
        (400, 0.35, 'adapt')]
    assert runs.curve(phases, 'val/PSNR@rgb') == [(100, 15.0, 'pretrain'), (300, 17.5, 'adapt'),
                                                       (400, 17.0, 'adapt')]
    assert [value for _, value, _ in runs.curve(phases, 'time')] == [1.0] * 6  # not validation's


def test_of_one_key_the_later_file_holds_from_its_first_iteration_on(tmp_path):
    write(tmp_path / '20260101_100000', *(trained(step, 1.0) for step in (10, 20, 30, 40)))
    write(tmp_path / '20260101_110000', trained(25, 2.0), trained(35, 2.0))
    phases = runs.read_run(tmp_path)
    assert phases[''].curves['loss'] == {10: 1.0, 20: 1.0, 25: 2.0, 35: 2.0}


def test_lines_that_are_no_log_are_left_out(tmp_path):
    write(tmp_path / '20260101_100000', trained(10, 1.0), trained(20, 2.0))
    file = tmp_path / '20260101_100000' / 'vis_data' / 'scalars.json'
    lines = ['[1]', '3', '{}', '{"step": "x"}', '{"step": Infinity, "loss": 1}', f'{{"step": 30, "loss": {10**400}}}',
             '[' * 100000, '{"step": 30, "loss": "much", "iter": 30}', '{"step": 40, "loss": [1]}']
    file.write_text(file.read_text() + '\n' + '\n'.join(lines))
    assert runs.read_run(tmp_path)[''].curves['loss'] == {10: 1.0, 20: 2.0}


def test_the_state_of_the_run_orders_phases_before_their_names_and_times_do(run_folder):
    (run_folder / 'run_state.json').write_text(json.dumps(dict(phases=dict(adapt={}, pretrain={}))))
    assert list(runs.read_run(run_folder)) == ['adapt', 'pretrain']
    (run_folder / 'run_state.json').write_text('[')
    assert list(runs.read_run(run_folder)) == ['pretrain', 'adapt']


def test_the_table_says_last_and_best(run_folder, tmp_path, capsys):
    assert call(run_folder, '--json', tmp_path / 'out' / 'runs.json') == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [['loss', 'run', '0.35', '400', '0.3', '300', 'adapt'],
                         ['val/PSNR@rgb', 'run', '17', '400', '17.5', '300', 'adapt'],
                         ['val/MAE@rgb', 'run', '0.07', '400', '0.07', '400', 'adapt']]
    record = json.loads((tmp_path / 'out' / 'runs.json').read_text())
    assert record['run']['val/PSNR@rgb'] == dict(points=3, last=17.0, last_iteration=400, best=17.5,
                                                 best_iteration=300, best_phase='adapt')


@pytest.mark.parametrize(('key', 'better'), [
    ('loss', False), ('loss_align', False), ('val/PSNR@rgb', True), ('input_SSIM@ffa', True),
    ('val/CIEDE2000@rgb', False), ('MS-SSIM@rgb', True), ('a/niqe@pyiqa', False), ('LPIPS-alex@rgb', False),
    ('lr', None), ('grad_norm', None), ('val/Nobodys@rgb', None)])
def test_what_is_better(key, better):
    assert runs.higher_is_better({}, key) is better


def test_a_users_metric_has_the_direction_that_its_run_wrote_down(tmp_path):
    logged = [{'sots/Worst@rgb': value, 'step': step} for step, value in ((1, 0.5), (2, 0.2), (3, 0.9))]
    write(tmp_path / 'run' / '20260101_100000', *logged)
    assert plot_logs(tmp_path / 'run')['run']['sots/Worst@rgb']['best'] is None  # nobody knows
    facts = tmp_path / 'run' / '20260101_100000' / 'vis_data' / 'metrics.json'
    facts.write_text(json.dumps({'Worst@rgb': dict(higher_is_better=False, unit='')}))
    found = plot_logs(tmp_path / 'run')['run']['sots/Worst@rgb']
    assert (found['best'], found['best_iteration'], found['last']) == (0.2, 2, 0.9)
    facts.write_text(json.dumps({'Worst@rgb': dict(higher_is_better=True, unit='')}))
    assert plot_logs(tmp_path / 'run')['run']['sots/Worst@rgb']['best'] == 0.9
    for text in ('[', '[]', '{"Worst@rgb": 1}', '{"Worst@rgb": {"higher_is_better": "no"}}', '[' * 100000):
        facts.write_text(text)
        assert plot_logs(tmp_path / 'run')['run']['sots/Worst@rgb']['best'] is None


def test_patterns_select_keys_in_order_and_inputs_on_request(run_folder):
    found = dict(run=runs.read_run(run_folder))
    assert runs.select_keys(['*PSNR*', 'loss*'], found) == ['val/PSNR@rgb', 'loss', 'loss_align']
    assert runs.select_keys(['val/input_PSNR@rgb'], found) == ['val/input_PSNR@rgb']


def test_smoothing_is_a_weighted_mean_of_the_past():
    values = [3.0, 1.0, 4.0]
    expected = (0.5 ** 2 * 3 + 0.5 * 1 + 4) / (0.25 + 0.5 + 1)
    assert runs.smooth(values, 0.5)[2] == pytest.approx(expected)
    assert runs.smooth(values, 0.0) == values and runs.smooth([2.0] * 9, 0.9) == pytest.approx([2.0] * 9)


@pytest.mark.slow
def test_several_runs_are_drawn_in_panels(run_folder, tmp_path):
    pytest.importorskip('matplotlib')
    write(tmp_path / 'single' / '20260101_100000', *(trained(step, 1 / step) for step in range(1, 30)),
          validated(30, 20.0))
    assert call(run_folder, tmp_path / 'single', '--out', tmp_path / 'plots' / 'p.png', '--smooth', 0.5) == 0
    image = read_image(tmp_path / 'plots' / 'p.png')
    assert image.shape[1] == 2 * 682  # 6.2 inches of 110 pixels for each of two columns
    blue = (abs(image.astype(int) - (31, 119, 180)).sum(axis=2) < 20).sum()
    orange = (abs(image.astype(int) - (255, 127, 14)).sum(axis=2) < 20).sum()
    assert blue > 300 and orange > 100


def test_runs_of_one_name_are_told_apart():
    assert runs.run_names(['/a/x/run', '/a/y/run']) == ['x/run', 'y/run']
    assert runs.run_names(['/a/x/', '/a/y']) == ['x', 'y']
    with pytest.raises(InputError, match='a run is named twice'):
        runs.run_names(['/a/x', '/a/x/'])


@pytest.mark.parametrize(('arguments', 'message'), [
    (('--keys', 'PSNR'), "no key is 'PSNR'; '*PSNR*' would match val/PSNR@rgb, val/input_PSNR@rgb"),
    (('--keys', 'los'), "'*los*' would match loss, loss_align"),
    (('--keys', 'lsos'), "did you mean 'loss'"),
    (('--smooth', 1), 'smooth must be at least 0 and below 1, but got 1.0'),
    (('--labels', 'a', 'b'), 'labels gives 2 names for 1 runs'),
    (('--out', 'plot.xyz'), 'out: plot.xyz')])
def test_mistakes_are_explained(run_folder, arguments, message, capsys):
    assert call(run_folder, *arguments) == 1
    assert message in capsys.readouterr().err


def test_a_folder_without_logs_is_named(tmp_path, capsys):
    assert call(tmp_path) == 1 and call(tmp_path / 'none') == 1
    error = capsys.readouterr().err
    assert f'{tmp_path} has no log' in error and f'{tmp_path}/none is not a folder' in error


def test_without_matplotlib_the_extra_is_named(run_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    assert call(run_folder, '--out', tmp_path / 'p.png') == 1
    assert 'pip install "restorekit[plots]"' in capsys.readouterr().err


def test_what_is_better_is_what_the_metrics_say():
    METRICS.import_from_location()
    for name, metric in METRICS.module_dict.items():
        if metric.__module__.startswith('restorekit.') and name != 'PyIQA':  # which asks its library
            assert runs.higher_is_better({}, f'sots/{metric.quantity}@rgb') is metric.higher_is_better, name

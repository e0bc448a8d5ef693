"""Training and testing from Python: what the functions return; that they print nothing."""

import json

import pytest
from tiny import PHASES, config

import restorekit
from restorekit.config import ConfigError, RestoreConfig
from restorekit.messages import ExistingFileError, MissingFileError, UnavailableError


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The config of two phases, the report of its run, and the calls of its two callbacks."""
    from mmengine.registry import DefaultScope
    folder, steps, said = tmp_path_factory.mktemp('tasks'), [], []
    cfg = config('unused', iters=2, phases={name: PHASES[name] for name in ('supervised', 'adapt')})
    cfg.pop('work_dir')
    RestoreConfig(cfg).dump(str(folder / 'tiny.py'))
    with DefaultScope.overwrite_default_scope('restorekit'):
        report = restorekit.train(folder / 'tiny.py', work_dir=folder / 'run', seed=5, announce=said.append,
                                  options={'val_dataloader.dataset.length': 2},
                                  progress=lambda done, total: steps.append((done, total)))
    return folder / 'tiny.py', report, steps, said


def test_train_tells_where_everything_is(trained):
    path, report, steps, said = trained
    assert report.work_dir == path.parent / 'run' and report.config == str(path)
    assert report.checkpoint == path.parent / 'run' / 'adapt' / 'iter_2.pth' and report.checkpoint.is_file()
    assert report.picture == path.parent / 'run' / 'before_after.png' and report.picture.is_file()
    assert list(report.phases) == ['supervised', 'adapt']
    assert report.phases['adapt']['metrics']['source/PSNR@rgb'] > 0 and '| after adapt ' in report.table
    assert steps == [(1, 2), (2, 2)] * 2
    assert said == ['Phase 1 of 2: supervised', 'Phase 2 of 2: adapt']


def test_the_seed_and_the_options_hold_in_every_phase(trained):
    config_of_last = json.loads((trained[1].work_dir / 'run_state.json').read_text())['configs']['adapt']
    assert config_of_last['randomness']['seed'] == 5 and config_of_last['val_dataloader']['dataset']['length'] == 2


def test_train_resumes_a_finished_run_without_training(trained):
    path, report, _, _ = trained
    steps = []
    again = restorekit.train(path, work_dir=report.work_dir, resume=True, seed=5, progress=lambda *step: steps.append(
        step), options={'val_dataloader.dataset.length': 2})
    assert again.phases == report.phases and again.checkpoint == report.checkpoint and steps == []


def test_mistakes_of_train(trained):
    path, report, _, _ = trained
    with pytest.raises(ExistingFileError, match='already holds a run'):
        restorekit.train(path, work_dir=report.work_dir)
    with pytest.raises(MissingFileError, match='There is no config'):
        restorekit.train('cid/none')
    with pytest.raises(ConfigError, match="did you mean 'adapt'"):
        restorekit.train(path, work_dir=path.parent / 'other', phase='adpt')


def test_test_measures_what_training_did(trained, tmp_path, capfd):
    path, trained_report, _, _ = trained
    steps = []
    report = restorekit.test(path, trained_report.checkpoint, out=tmp_path / 'out',
                             options={'val_dataloader.dataset.length': 2}, progress=lambda *step: steps.append(step))
    assert capfd.readouterr().out == ''  # log_level is ERROR, so the call is silent
    assert report.metrics == pytest.approx(trained_report.phases['adapt']['metrics'])
    assert json.loads((tmp_path / 'out' / 'summary.json').read_text())['metrics'] == pytest.approx(report.metrics)
    assert report.out == tmp_path / 'out' and report.warnings == [] and steps == [(2, 2)]
    assert [row['image'] for row in report.rows] == ['00000.png', '00001.png']
    assert str(report).splitlines()[0].split()[:3] == ['set', 'metric', 'n']
    again = restorekit.test(path, trained_report.checkpoint, out=tmp_path / 'out',
                            options={'val_dataloader.dataset.length': 2})
    assert again.metrics == report.metrics and 'finished' in again.warnings[0] and again.rows == []


def test_a_network_set_otherwise_is_said(trained):
    path, trained_report, _, _ = trained
    report = restorekit.test(path, trained_report.checkpoint, options={
        'val_dataloader.dataset.length': 1, 'model.network.decoder.embedding_channels': 128})
    assert len(report.warnings) == 1 and 'adapt/iter_2.pth was trained with another network: ' \
        'decoder.embedding_channels is 128 in the config and not set in the checkpoint' in report.warnings[0]


def test_protocols_and_sets_by_name_need_no_file(trained):
    path, trained_report, _, _ = trained
    report = restorekit.test(path, predictions='input', protocols=['rgb', 'y-matlab'], metrics=['MAE'])
    assert list(report.summary['definitions']) == ['PSNR@rgb', 'SSIM@rgb', 'PSNR@y-matlab', 'SSIM@y-matlab', 'MAE@rgb',
                                                   'MAE@y-matlab']
    assert report.out is None and report.metrics['source/PSNR@rgb'] == report.metrics['source/input_PSNR@rgb']


@pytest.mark.parametrize('arguments, message', [
    ({}, 'neither a CHECKPOINT'), (dict(predictions='input', save_images=True), 'needs --out'),
    (dict(checkpoint='none.pth'), 'no checkpoint none.pth')])
def test_mistakes_of_test(trained, arguments, message):
    with pytest.raises((ConfigError, MissingFileError), match=message):
        restorekit.test(trained[0], **arguments)


def test_show_config_merges_the_phase_and_the_options(trained):
    cfg = restorekit.show_config(trained[0], phase='adapt', options={'train_cfg.max_iters': 7})
    assert cfg.model.alignment.type == 'CORALLoss' and cfg.train_cfg.max_iters == 7 and 'phases' not in cfg
    assert list(restorekit.show_config(trained[0]).phases) == ['supervised', 'adapt']


def test_the_launcher_of_the_config_holds(trained, tmp_path, monkeypatch):
    path, report, _, _ = trained
    for name in ('RANK', 'SLURM_PROCID'):
        monkeypatch.delenv(name, raising=False)
    options = dict(launcher='pytorch')
    for call in (lambda **given: restorekit.train(path, work_dir=tmp_path / 'run', options=options, **given),
                 lambda **given: restorekit.test(path, report.checkpoint, options=options, **given)):
        with pytest.raises(UnavailableError, match="launcher='pytorch' needs RANK"):
            call()
        with pytest.raises(UnavailableError, match="launcher='slurm' needs (CUDA|SLURM_PROCID)"):
            call(launcher='slurm')
    measured = restorekit.test(path, report.checkpoint, launcher='none', options=options)
    assert measured.metrics['source/PSNR@rgb'] > 0

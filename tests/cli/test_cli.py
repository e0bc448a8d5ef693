import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from machine import environment
from tiny import PHASES, config

from restorekit.checkpoint import load_checkpoint_file
from restorekit.cli.main import main
from restorekit.config import RestoreConfig
from restorekit.files.image_io import read_image
from restorekit.models import AODNet


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with tiny.py (three phases of two iterations) and its run, trained by the command."""
    from mmengine.registry import DefaultScope
    folder = tmp_path_factory.mktemp('cli')
    cfg = config('unused', iters=2, phases=PHASES)
    cfg.pop('work_dir')
    RestoreConfig(cfg).dump(str(folder / 'tiny.py'))
    with DefaultScope.overwrite_default_scope('restorekit'):
        assert main(['train', str(folder / 'tiny.py'), '--work-dir', str(folder / 'run')]) == 0
    return folder


@pytest.fixture
def checkpoint(trained):
    return str(trained / 'run' / 'adapt' / 'iter_2.pth')


@pytest.fixture
def fail(capsys):
    """Run a command that must fail with status 1; returns what it says."""
    def run(*args):
        assert main([str(arg) for arg in args]) == 1
        err = capsys.readouterr().err
        assert 'Traceback' not in err
        return err
    return run


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


@pytest.mark.slow
def test_train_makes_one_folder_per_phase_a_table_and_a_picture(trained):
    run = trained / 'run'
    record = json.loads((run / 'run_state.json').read_text())['phases']
    assert list(record) == list(PHASES) and all(phase['finished'] for phase in record.values())
    assert (run / 'results.md').read_text().count('\n| after ') == 3
    assert read_image(run / 'before_after.png').size and not list(run.rglob('*.tmp*'))


def test_train_test_restore(trained, checkpoint, tmp_path, capsys):
    out = tmp_path / 'results'
    assert main(['test', str(trained / 'tiny.py'), checkpoint, '--out', str(out), '--save-images']) == 0
    text = capsys.readouterr().out
    metrics = json.loads((out / 'summary.json').read_text())['metrics']
    trained_metrics = json.loads((trained / 'run' / 'run_state.json').read_text())['phases']['adapt']['metrics']
    assert metrics == pytest.approx(trained_metrics) and 'source  PSNR@rgb ↑' in text
    images = sorted((out / 'images').rglob('*.png'))
    assert len(images) == 3
    assert main(['restore', str(images[0]), '-o', str(tmp_path / 'r.png'), '--checkpoint', checkpoint]) == 0
    assert read_image(tmp_path / 'r.png').shape == read_image(images[0]).shape


def test_restore_a_folder_and_a_glob(checkpoint, tmp_path, capsys):
    for name in ('a.png', 'b.jpg', 'sub/c.png'):
        write(tmp_path / 'in' / name, noise(9, 7, 3))
    (tmp_path / 'in' / 'notes.txt').write_text('x')
    assert main(['restore', str(tmp_path / 'in'), '-o', str(tmp_path / 'out'), '--checkpoint', checkpoint]) == 0
    made = sorted(p.relative_to(tmp_path / 'out').as_posix() for p in (tmp_path / 'out').rglob('*') if p.is_file())
    assert made == ['a.png', 'b.jpg', 'sub/c.png']
    assert '[3/3]' in capsys.readouterr().out
    assert main(['restore', str(tmp_path / 'in' / '**' / '*.png'), '-o', str(tmp_path / 'globbed'), '--checkpoint',
                 checkpoint]) == 0
    assert sorted(p.name for p in (tmp_path / 'globbed').iterdir()) == ['a.png', 'c.png']


@pytest.mark.parametrize('size', [(1, 1), (2, 50), (37, 23)])
def test_restore_keeps_every_size(checkpoint, tmp_path, size):
    source = write(tmp_path / 'a.png', noise(*size, 3))
    assert main(['restore', str(source), '-o', str(tmp_path / 'out.png'), '--checkpoint', checkpoint]) == 0
    assert read_image(tmp_path / 'out.png').shape == (*size, 3)


def test_restore_keeps_alpha_and_reads_grey_and_16_bit(checkpoint, tmp_path):
    write(tmp_path / 'in' / 'alpha.png', noise(8, 9, 4))
    write(tmp_path / 'in' / 'grey.png', noise(8, 9))
    write(tmp_path / 'in' / 'deep.png', noise(8, 9, 3, dtype=np.uint16))
    assert main(['restore', str(tmp_path / 'in'), '-o', str(tmp_path / 'out'), '--checkpoint', checkpoint]) == 0
    alpha = cv2.imread(str(tmp_path / 'out' / 'alpha.png'), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(alpha[..., 3], noise(8, 9, 4)[..., 3])
    assert cv2.imread(str(tmp_path / 'out' / 'grey.png'), cv2.IMREAD_UNCHANGED).shape == (8, 9)
    deep = cv2.imread(str(tmp_path / 'out' / 'deep.png'), cv2.IMREAD_UNCHANGED)
    assert deep.shape == (8, 9, 3) and deep.dtype == np.uint16


def test_a_broken_image_does_not_stop_the_others(checkpoint, tmp_path, fail):
    folder = tmp_path / 'in'
    write(folder / 'a.png', noise(8, 9, 3))
    write(folder / 'z.png', noise(8, 9, 3))
    (folder / 'empty.png').write_bytes(b'')
    (folder / 'cut.png').write_bytes((folder / 'a.png').read_bytes()[:60])
    (folder / 'text.png').write_text('no image at all')
    text = fail('restore', folder, '-o', tmp_path / 'out', '--checkpoint', checkpoint)
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['a.png', 'z.png']
    for name, why in (('empty.png', 'empty'), ('cut.png', 'truncated'), ('text.png', 'is not a PNG')):
        assert f'{folder / name} ' in text and why in text
    assert '3 of 5 images could not be restored' in text


def test_inputs_are_never_overwritten(checkpoint, tmp_path, fail):
    source = write(tmp_path / 'a.png', noise(8, 9, 3))
    before = source.read_bytes()
    for out in (source, tmp_path):
        assert 'is an input; choose another output' in fail('restore', source, '-o', out, '--checkpoint', checkpoint)
    assert source.read_bytes() == before
    other = write(tmp_path / 'other' / 'a.png', noise(8, 9, 3))
    text = fail('restore', source, other, '-o', tmp_path / 'out', '--checkpoint', checkpoint)
    assert 'would both be written to' in text and not (tmp_path / 'out').exists()
    text = fail('restore', source, other, '-o', tmp_path / 'one.png', '--checkpoint', checkpoint)
    assert '2 inputs cannot go to one file' in text


def test_missing_input_and_checkpoint_are_named(checkpoint, tmp_path, fail):
    text = fail('restore', tmp_path / 'no*.png', '-o', tmp_path / 'out', '--checkpoint', checkpoint)
    assert 'no file, folder or glob match for' in text and 'no*.png' in text
    source = write(tmp_path / 'a.png', noise(8, 9, 3))
    assert 'gone.pth does not exist' in fail('restore', source, '-o', tmp_path / 'out', '--checkpoint',
                                             tmp_path / 'gone.pth')


@pytest.mark.slow
def test_checkpoint_of_another_network(trained, tmp_path, fail):
    torch.save(AODNet().state_dict(), tmp_path / 'aod.pth')
    source = write(tmp_path / 'a.png', noise(8, 9, 3))
    restore = ('restore', source, '-o', tmp_path / 'out', '--checkpoint', tmp_path / 'aod.pth')
    text = fail(*restore, '--config', trained / 'tiny.py')
    assert 'aod.pth is a checkpoint of another network than this EncoderDecoder' in text
    assert 'does not say what network it holds' in fail(*restore)
    assert 'of another network' in fail('test', trained / 'tiny.py', tmp_path / 'aod.pth')
    assert not (tmp_path / 'out').exists()


def test_unknown_names_give_the_nearest(trained, tmp_path, fail):
    assert "Did you mean 'cid/cid_quickstart'" in fail('train', 'cid/cid_quickstrat')
    train = ('train', trained / 'tiny.py', '--work-dir', tmp_path / 'run')
    assert "'adpt' is not in the phases of this config; did you mean 'adapt'" in fail(*train, '--phase', 'adpt')
    assert "'adpt' is not in the phases of" in fail(*train, '--cfg-options', 'phases.adpt.train_cfg.max_iters=1')
    text = fail(*train, '--cfg-options', 'model.network.encoder.type=Res2Nt')
    assert 'tiny.py' in text and "'Res2Net'" in text and 'model.network.encoder' in text
    text = fail(*train, '--cfg-options', 'phases.adapt.train_cfg.max_iter=1')
    assert "phase 'adapt': train_cfg: ResumableIterLoop takes no 'max_iter'; did you mean 'max_iters'" in text
    assert not (tmp_path / 'run').exists()


def test_a_wrong_value_is_a_sentence_too(trained, tmp_path, fail):
    train = ('train', trained / 'tiny.py', '--work-dir', tmp_path / 'run', '--cfg-options')
    assert 'max_iters must be a whole number of at least 1' in fail(*train, 'train_cfg.max_iters=0')


@pytest.mark.slow
def test_a_finished_run_is_refused_and_resumed(trained, fail, capsys):
    last = trained / 'run' / 'adapt' / 'iter_2.pth'
    before = last.stat().st_mtime_ns
    train = ('train', str(trained / 'tiny.py'), '--work-dir', str(trained / 'run'))
    assert 'already holds a run; pass --resume to continue it' in fail(*train)
    assert main([*train, '--resume']) == 0
    text = capsys.readouterr().out
    assert text.count('finished before, skipped') == 3 and last.stat().st_mtime_ns == before


@pytest.mark.slow
def test_one_phase_with_options_seed_and_load_from(trained, checkpoint, tmp_path):
    work_dir = tmp_path / 'run'
    assert main(['train', str(trained / 'tiny.py'), '--work-dir', str(work_dir), '--phase', 'supervised', '--load-from',
                 checkpoint, '--seed', '11', '--cfg-options', 'phases.supervised.train_cfg.max_iters=1']) == 0
    assert sorted(p.name for p in work_dir.iterdir() if p.is_dir()) == ['supervised']
    saved = load_checkpoint_file(work_dir / 'supervised' / 'iter_1.pth')
    assert saved['meta']['seed'] == 11
    start = load_checkpoint_file(checkpoint)['state_dict']
    for key, value in saved['state_dict'].items():
        if key.startswith('network.encoder'):
            assert torch.equal(value, start[key])  # frozen: where --load-from put it


@pytest.mark.slow
def test_nan_is_reported_without_a_traceback(tmp_path, fail):
    cfg = config('unused', iters=4, interval=4, model=dict(  # without norms, whose sums may swallow what overflows
        type='Restorer', network=dict(type='AODNet'), losses=dict(pixel=dict(type='L1Loss'))))
    cfg.pop('work_dir')
    RestoreConfig(cfg).dump(str(tmp_path / 'tiny.py'))
    text = fail('train', tmp_path / 'tiny.py', '--work-dir', tmp_path / 'run', '--cfg-options',
                'optim_wrapper.optimizer.lr=1e30')
    assert 'loss_pixel is nan at iteration 2 of 4' in text
    assert 'training stopped before the weights changed' in text


def test_missing_data_root_names_folder_and_config(tmp_path, fail):
    text = fail('train', 'cid/cid_small_real', '--work-dir', tmp_path / 'run', '--data-root', tmp_path / 'data')
    assert f'looks for {tmp_path}/data/' in text and 'cid_small_real.py' in text and 'the data root is' in text


@pytest.mark.slow
def test_a_mistake_found_by_a_worker_is_a_sentence_too(trained, checkpoint, tmp_path, fail):
    write(tmp_path / 'hazy' / '1.png', noise(8, 8, 3))
    write(tmp_path / 'clear' / '1.png', noise(8, 9, 3))
    pair = dict(type='PairedDataset', input_dir=str(tmp_path / 'hazy'), gt_dir=str(tmp_path / 'clear'))
    for dataset in (pair, dict(type='SingleDataset', image_dir=str(tmp_path / 'clear'))):
        RestoreConfig(dict(_base_=[str(trained / 'tiny.py')], test_dataloader=dict(
            batch_size=1, num_workers=1, dataset=dataset,
            sampler=dict(type='DefaultSampler', shuffle=False)))).dump(str(tmp_path / 'worker.py'))
        text = fail('test', tmp_path / 'worker.py', checkpoint)
        assert 'worker process' not in text
        assert ('differ in size' if dataset is pair else 'truncated') in text and f'{tmp_path}/clear/1.png' in text
        (tmp_path / 'clear' / '1.png').write_bytes((tmp_path / 'clear' / '1.png').read_bytes()[:-20])


def test_saving_images_needs_a_folder(trained, checkpoint, fail):
    assert '--save-images needs --out DIR' in fail('test', trained / 'tiny.py', checkpoint, '--save-images')
    assert 'gone.pth' in fail('test', trained / 'tiny.py', 'gone.pth')


LIGHT = """
import sys, restorekit
loaded = [name for name in ('torch', 'torchvision', 'tensorboard', 'matplotlib', 'cv2') if name in sys.modules]
assert not loaded, f'import restorekit imports {loaded}'
from restorekit.cli.main import main
try:
    main(['--help'])
except SystemExit as end:
    assert end.code == 0
assert 'torch' not in sys.modules, '--help imports torch'
import restorekit.models, restorekit.engine, restorekit.inference
loaded = [name for name in ('tensorboard', 'matplotlib.pyplot') if name in sys.modules]
assert not loaded, f'the package imports {loaded}'
"""


@pytest.mark.slow
def test_help_and_import_are_light():
    done = subprocess.run([sys.executable, '-c', LIGHT], env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in ('train', 'test', 'restore'))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='about machines without a GPU')
def test_every_phase_trains_in_mixed_precision(trained, tmp_path):
    assert main(['train', str(trained / 'tiny.py'), '--work-dir', str(tmp_path / 'run'), '--amp']) == 0
    mixed, full = (load_checkpoint_file(folder / 'run' / 'adapt' / 'iter_2.pth')['state_dict']
                   for folder in (tmp_path, trained))
    assert all(value.dtype == full[key].dtype and torch.isfinite(value).all() for key, value in mixed.items())
    assert any(not torch.equal(value, full[key]) for key, value in mixed.items())

import errno
import json

import cv2
import numpy as np
import pytest
import torch
from files import DEAD_TEMPORARY

from restorekit.cli.main import main
from restorekit.datasets import PairedDataset
from restorekit.degradations import AtmosphericScattering, build_degradation, load_preset, params_from_json
from restorekit.files import image_io
from restorekit.files.image_io import read_image
from restorekit.tasks import synthesize as task


def call(*arguments):
    """Run the command; returns its exit status."""
    return main(['synthesize', *map(str, arguments)])


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture
def clear(tmp_path, make_images):
    make_images(tmp_path / 'clear', ['a.png', 'b_1.png', 'sub/c.png'][:2])
    make_images(tmp_path / 'clear/sub', ['c.png'], size=(17, 21))
    return tmp_path / 'clear'


@pytest.mark.slow
def test_pairs_and_a_manifest_that_replays_them(clear, tmp_path, capsys):
    out = tmp_path / 'out'
    assert call('cid_multi_domain', '--clear', clear, '--out', out, '--per-image', 3, '--workers', 1) == 0
    assert '9 hazy images' in capsys.readouterr().out
    data = PairedDataset(str(out / 'hazy'), str(out / 'clear'), pairing='prefix')
    assert len(data) == 9 and np.array_equal(data.load(0, 0)['gt'], read_image(clear / 'a.png'))
    lines = [json.loads(line) for line in (out / 'manifest.jsonl').read_text().splitlines()]
    assert [line['hazy'] for line in lines[2:5]] == ['hazy/a_3.png', 'hazy/b-1_1.png', 'hazy/b-1_2.png']
    assert lines[3]['source'] == 'b_1.png' and lines[8]['clear'] == 'clear/sub/c.png'
    operator = build_degradation(load_preset('cid_multi_domain'))
    for line in lines:
        image = torch.from_numpy(read_image(out / line['clear'])).permute(2, 0, 1)[None].float() / 255
        replayed = operator.apply(image, None, params_from_json([line['params']]))[0]
        expected = read_image(out / line['hazy'])
        assert np.array_equal((replayed * 255).round().byte().permute(1, 2, 0).numpy(), expected), line['hazy']
        assert torch.equal(operator(image, None, [line['seed']])[0][0], replayed)


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_bytes_with_any_number_of_workers(clear, tmp_path, monkeypatch):
    arguments = ('cid_multi_domain', '--clear', clear, '--per-image', 2, '--seed', 5)
    assert call(*arguments, '--out', tmp_path / 'whole', '--workers', 1) == 0
    out, write_text, count = tmp_path / 'out', task.atomic_write_text, []

    def killed(text, path):
        count.append(path)
        if len(count) == 2:  # part of a, then in the middle of b: its images are there, its part is not
            raise KeyboardInterrupt
        write_text(text, path)
    with monkeypatch.context() as patch:
        patch.setattr(task, 'atomic_write_text', killed)
        assert call(*arguments, '--out', out, '--workers', 1) == 130
    assert not (out / 'manifest.jsonl').exists() and len(list((out / 'hazy').iterdir())) == 4
    (out / 'hazy' / DEAD_TEMPORARY).write_bytes(b'half')
    stamp = (out / 'hazy/a_1.png').stat().st_mtime_ns
    assert call(*arguments, '--out', out, '--workers', 2) == 0
    assert contents(out) == contents(tmp_path / 'whole')
    assert (out / 'hazy/a_1.png').stat().st_mtime_ns == stamp
    (out / 'hazy/a_2.png').unlink()
    assert call(*arguments, '--out', out, '--workers', 1) == 0
    assert contents(out) == contents(tmp_path / 'whole')


def test_depth_maps_are_read_as_declared(clear, tmp_path, capsys):
    depth, config = tmp_path / 'depth', tmp_path / 'haze.py'
    config.write_text("degradation = dict(type='AtmosphericScattering', beta=1., airlight=1., missing_depth='error')")
    for name, size in (('a', (24, 32)), ('b_1', (24, 32)), ('sub/c', (17, 21))):
        (depth / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(depth / f'{name}.png'), np.full(size, 51, np.uint8))
    out = tmp_path / 'out'
    assert call(config, '--clear', clear, '--depth', depth, '--depth-options', 'inverted=true', 'scale=2', '--out', out,
                '--workers', 1) == 0
    transmission = np.exp(-2 * 0.8)
    expected = read_image(out / 'clear/a.png') * transmission + 255 * (1 - transmission)
    assert np.abs(read_image(out / 'hazy/a_1.png') - expected).max() <= 0.51
    assert call(config, '--clear', clear, '--out', tmp_path / 'none', '--workers', 1) == 1
    assert "missing_depth='proxy'" in capsys.readouterr().err


def test_one_bad_image_does_not_cost_the_others(clear, tmp_path, capsys):
    (clear / 'broken.png').write_bytes(b'no image')
    out = tmp_path / 'out'
    assert call('day', '--clear', clear, '--out', out, '--workers', 1) == 1
    assert 'failed' in (text := capsys.readouterr().err) and 'broken.png' in text
    assert len((out / 'manifest.jsonl').read_text().splitlines()) == 3


def test_mistakes_are_explained(clear, tmp_path, capsys, make_images):
    out = tmp_path / 'out'
    assert call('day', '--clear', clear, '--out', out, '--workers', 1) == 0
    make_images(tmp_path / 'twice', ['a_b.png', 'a-b.png'])
    capsys.readouterr()
    for arguments, message in [
            (('dya', '--clear', clear, '--out', out), "unknown preset 'dya': did you mean 'day'"),
            (('day', '--clear', clear, '--out', out, '--seed', 1), 'seed was 0, is 1'),
            (('dust', '--clear', clear, '--out', out), 'made with other settings (degradation;'),
            (('day', '--clear', clear, '--out', clear / 'hazy'), 'would become clear images'),
            (('day', '--clear', clear, '--out', out, '--per-image', 0), 'per_image must be at least 1'),
            (('day', '--clear', clear, '--out', out, '--workers', 0), 'workers must be at least 1'),
            (('day', '--clear', tmp_path / 'x', '--out', tmp_path / 'y'), 'no folder'),
            (('day', '--clear', tmp_path / 'twice', '--out', tmp_path / 'y'), 'would both be written as a-b.png'),
            (('day', '--clear', clear, '--out', tmp_path / 'y', '--estimator', 'size=3'), 'estimator: '),
            (('cid/cid_quickstart', '--clear', clear, '--out', tmp_path / 'y'), 'has no top-level degradation')]:
        assert call(*arguments) == 1, arguments
        assert message in capsys.readouterr().err, arguments
    (out / 'settings.json').unlink()
    assert call('day', '--clear', clear, '--out', out) == 1
    assert 'it was not written by this command' in capsys.readouterr().err


def test_python_makes_the_same_files_from_a_dict(clear, tmp_path):
    seen = []
    report = task.synthesize(dict(load_preset('day')), clear, tmp_path / 'a', per_image=2, workers=1,
                             progress=lambda *numbers: seen.append(numbers))
    assert (report.images, report.skipped, report.written, report.failures) == (3, 0, 6, [])
    assert seen == [(1, 3), (2, 3), (3, 3)] and report.manifest == tmp_path / 'a/manifest.jsonl'
    assert call('day', '--clear', clear, '--out', tmp_path / 'b', '--per-image', 2, '--workers', 1) == 0
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')
    again = task.synthesize('day', clear, tmp_path / 'a', per_image=2, workers=1)
    assert (again.skipped, again.written) == (3, 6)


@pytest.mark.slow
def test_a_full_disk_stops_at_once(clear, tmp_path, monkeypatch):
    tried = []

    def full(path, image):
        tried.append(path)
        raise OSError(errno.ENOSPC, 'No space left on device', str(path))
    monkeypatch.setattr(image_io, 'write_image', full)
    with pytest.raises(OSError, match='No space left on device.*hazy/a_1.png'):
        task.synthesize('day', clear, tmp_path / 'out', workers=1)
    assert len(tried) == 1


def test_a_bug_in_a_degradation_is_not_an_image_that_failed(clear, tmp_path, monkeypatch):
    def broken(self, draw, height, width):
        return {}['beta']
    monkeypatch.setattr(AtmosphericScattering, 'draw', broken)
    with pytest.raises(KeyError, match='beta'):
        task.synthesize(dict(type='AtmosphericScattering'), clear, tmp_path / 'out', workers=1)


@pytest.mark.parametrize('line', ['[' * 100000, '3', 'null', '[1]', '{}', '\xff', '{"clear": [1]}'])
def test_a_manifest_of_something_else_is_refused(clear, tmp_path, capsys, line):
    out = tmp_path / 'out'
    assert call('day', '--clear', clear, '--out', out, '--workers', 1) == 0
    (out / 'manifest.jsonl').write_bytes(line.encode('latin-1') + b'\n')
    assert call('day', '--clear', clear, '--out', out, '--workers', 1) == 1
    assert 'manifest.jsonl, line 1: this is not an entry of a manifest' in capsys.readouterr().err

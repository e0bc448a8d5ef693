import re

import cv2
import numpy as np
import pytest
from files import DEAD_TEMPORARY

from restorekit.cli.main import main
from restorekit.datasets import ClearDepthDataset, PairedDataset
from restorekit.files import image_io
from restorekit.files.image_io import read_image
from restorekit.tasks.extract_patches import extract_patches, positions


def call(*arguments):
    """Run the command with one process; returns its exit status."""
    return main(['extract-patches', *map(str, arguments), '--workers', '1'])


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


GRID = ('--size', 16, '--stride', 12)


def test_patches_cover_the_image_and_hold_its_pixels(tmp_path, make_images, capsys):
    make_images(tmp_path / 'src', ['a.png'], size=(30, 41))
    make_images(tmp_path / 'src/sub', ['b.png'], size=(16, 16))
    assert call(tmp_path / 'src', tmp_path / 'out', *GRID) == 0
    assert '13 patches of 2 images' in capsys.readouterr().out
    image, covered = read_image(tmp_path / 'src/a.png'), np.zeros((30, 41), bool)
    tops, lefts = [0, 12, 14], [0, 12, 24, 25]
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            patch = read_image(tmp_path / f'out/a_r{row}_c{column}.png')
            assert np.array_equal(patch, image[top:top + 16, left:left + 16]), (row, column)
            covered[top:top + 16, left:left + 16] = True
    assert covered.all()
    assert np.array_equal(read_image(tmp_path / 'out/sub/b_r0_c0.png'), read_image(tmp_path / 'src/sub/b.png'))


@pytest.mark.parametrize(('length', 'size', 'stride', 'expected'), [
    (256, 256, 192, [0]), (257, 256, 192, [0, 1]), (620, 256, 192, [0, 192, 364]), (640, 256, 192, [0, 192, 384]),
    (10, 256, 192, [0]), (6, 2, 2, [0, 2, 4])])
def test_the_last_window_is_moved_inside(length, size, stride, expected):
    assert positions(length, size, stride) == expected


def test_a_smaller_image_is_kept_and_named(tmp_path, make_images, capsys):
    make_images(tmp_path / 'src', ['small.png'], size=(10, 20))
    assert call(tmp_path / 'src', tmp_path / 'out', *GRID) == 0
    assert '1 images are smaller than a patch' in (text := capsys.readouterr().out) and 'small.png' in text
    assert read_image(tmp_path / 'out/small_r0_c1.png').shape == (10, 16, 3)


@pytest.mark.parametrize(('pairing', 'hazy', 'clear'), [
    ('stem', ['1.png', '2.png'], ['1.png', '2.png']),
    ('prefix', ['1_1_0.9.png', '1_2_0.8.png', '2_1_0.7.png'], ['1.png', '2.png']),
    ('suffix', ['01_out_hazy.png', '02_out_hazy.png'], ['01_out_GT.png', '02_out_GT.png'])])
def test_the_pairing_it_prints_finds_the_patches(tmp_path, make_images, capsys, pairing, hazy, clear):
    for folder, names in (('hazy', hazy), ('clear', clear)):
        make_images(tmp_path / 'src' / folder, names, size=(20, 20))
        make_images(tmp_path / 'src' / folder / 'night_1', names, size=(20, 20))
    options = ('--pairs', 'hazy', 'clear', '--pairing', pairing)
    assert call(tmp_path / 'src', tmp_path / 'out', *GRID, *options) == 0
    printed = eval(re.search('pairing=(.*)', capsys.readouterr().out)[1])
    data = PairedDataset(str(tmp_path / 'out/hazy'), str(tmp_path / 'out/clear'), pairing=printed)
    whole = PairedDataset(str(tmp_path / 'src/hazy'), str(tmp_path / 'src/clear'), pairing=pairing)
    assert len(data) == 4 * len(whole)
    for index in range(len(data)):
        files = data.files(index)
        place = re.search(r'_r(\d)_c(\d)\.png$', files['input'])
        assert files['gt'].endswith(place[0])
        name = files['input'][:place.start()].removeprefix(f'{tmp_path}/out/')
        original = next(pair for pair in map(whole.files, range(len(whole))) if pair['input'].endswith(f'/{name}.png'))
        top, left = (4 * int(number) for number in place.groups())
        assert np.array_equal(read_image(files['gt']), read_image(original['gt'])[top:top + 16, left:left + 16])


def test_depth_keeps_its_values(tmp_path, make_images):
    for folder in ('hazy', 'clear'):
        make_images(tmp_path / 'src' / folder, ['a.png', 'b.png'], size=(20, 20))
    (tmp_path / 'src/depth').mkdir()
    map16 = np.random.default_rng(0).integers(0, 65536, (20, 20), dtype=np.uint16)
    floats = np.random.default_rng(1).random((20, 20), dtype=np.float32)
    cv2.imwrite(str(tmp_path / 'src/depth/a.png'), map16)
    np.save(tmp_path / 'src/depth/b.npy', floats)
    assert call(tmp_path / 'src', tmp_path / 'out', *GRID, '--pairs', 'hazy', 'clear', 'depth') == 0
    patch = cv2.imread(str(tmp_path / 'out/depth/a_r1_c0.png'), cv2.IMREAD_UNCHANGED)
    assert patch.dtype == np.uint16 and np.array_equal(patch, map16[4:20, :16])
    assert np.array_equal(np.load(tmp_path / 'out/depth/b_r0_c1.npy'), floats[:16, 4:20])
    assert len(ClearDepthDataset(str(tmp_path / 'out/clear'), str(tmp_path / 'out/depth'))) == 8


def test_a_killed_run_continues_to_the_same_bytes(tmp_path, make_images, monkeypatch):
    make_images(tmp_path / 'src', ['a.png', 'b.png', 'c.png'], size=(20, 30))
    assert call(tmp_path / 'src', tmp_path / 'whole', *GRID) == 0
    out, write, count = tmp_path / 'out', image_io.write_image, []

    def killed(path, image):
        count.append(path)
        if len(count) == 9:  # in the middle of b, which has six patches
            (out / DEAD_TEMPORARY).write_bytes(b'half')
            raise KeyboardInterrupt
        write(path, image)
    with monkeypatch.context() as patch:
        patch.setattr(image_io, 'write_image', killed)
        assert call(tmp_path / 'src', out, *GRID) == 130
    assert len(list(out.glob('*.png'))) == 8
    stamp = (out / 'a_r0_c0.png').stat().st_mtime_ns
    assert call(tmp_path / 'src', out, *GRID) == 0
    assert contents(out) == contents(tmp_path / 'whole')
    assert (out / 'a_r0_c0.png').stat().st_mtime_ns == stamp
    (out / 'c_r1_c1.png').unlink()
    assert call(tmp_path / 'src', out, *GRID) == 0
    assert contents(out) == contents(tmp_path / 'whole')


def test_one_bad_image_does_not_cost_the_others(tmp_path, make_images, capsys):
    paths = make_images(tmp_path / 'src', ['a.png', 'b.png'])
    data = bytearray(paths[1].read_bytes())
    data[100:400] = bytes(300)  # the header is whole, the image is not
    paths[1].write_bytes(data)
    assert call(tmp_path / 'src', tmp_path / 'out', *GRID) == 1
    assert 'failed: ' in (text := capsys.readouterr().err) and 'b.png' in text
    assert len(list((tmp_path / 'out').glob('a_*.png'))) == 6


def test_a_damaged_header_does_not_cost_the_others(tmp_path, make_images, capsys):
    source = tmp_path / 'src'
    for folder in ('hazy', 'clear'):
        make_images(source / folder, ['a.png', 'b.png', 'c.png', 'd.png'], size=(20, 20))
    (source / 'depth').mkdir()
    for name in 'abcd':
        np.save(source / 'depth' / f'{name}.npy', np.ones((20, 20), np.float32))
    (source / 'hazy/b.png').write_bytes(b'')
    (source / 'clear/c.png').write_bytes(b'no image')
    (source / 'depth/d.npy').write_bytes(b'no array')
    assert call(source / 'hazy', tmp_path / 'single', *GRID) == 1
    assert 'failed: ' in (text := capsys.readouterr().err) and f'{source}/hazy/b.png is empty' in text
    assert {name[0] for name in contents(tmp_path / 'single')} == {'a', 'c', 'd', 'p'}
    assert call(source, tmp_path / 'out', *GRID, '--pairs', 'hazy', 'clear', 'depth') == 1
    text = capsys.readouterr().err
    assert [text.count(f'{source}/{name}') for name in ('hazy/b.png', 'clear/c.png', 'depth/d.npy')] == [1] * 3
    assert text.count('failed: ') == 3
    assert len(PairedDataset(str(tmp_path / 'out/hazy'), str(tmp_path / 'out/clear'))) == 8  # of a and d
    assert {name[:7] for name in contents(tmp_path / 'out') if name.startswith('depth')} == {'depth/a', 'depth/b'}


def test_an_lmdb_is_refused(tmp_path, make_images, capsys):
    make_images(tmp_path / 'src/hazy', ['a.png'])
    (tmp_path / 'src/clear').mkdir()
    (tmp_path / 'src/clear/data.mdb').touch()
    for arguments in ((tmp_path / 'src/clear',), (tmp_path / 'src', '--pairs', 'hazy', 'clear')):
        assert call(arguments[0], tmp_path / 'out', *arguments[1:]) == 1
        assert f'{tmp_path}/src/clear is an LMDB; give the folder it was made of' in capsys.readouterr().err


def test_mistakes_are_explained(tmp_path, make_images, capsys):
    source, out = tmp_path / 'src', tmp_path / 'out'
    make_images(source / 'hazy', ['a.png', 'b.png'], size=(20, 20))
    make_images(source / 'clear', ['a.png', 'b.png'], size=(20, 20))
    pairs = ('--pairs', 'hazy', 'clear')

    def says(words, *arguments):
        assert call(*arguments) == 1
        assert words in (text := capsys.readouterr().err), text
    says('stride must be within [1, size]', source, out, '--size', 8, '--stride', 9)
    says('is inside the source', source, source / 'patches', *GRID)
    says('HAZY CLEAR or HAZY CLEAR DEPTH, but got hazy', source, out, *GRID, '--pairs', 'hazy')
    says('no folder', source, out, *GRID, '--pairs', 'hazy', 'gt')
    says('names of folders below the source, but got ../clear', source, out, *GRID, '--pairs', 'hazy', '../clear')
    says('size must be at least 1', source, out, '--size', 0)
    assert call(source, out, *GRID, *pairs) == 0
    says('stride was 12, is 8', source, out, '--size', 16, '--stride', 8, *pairs)
    make_images(tmp_path / 'other', ['a.png'])
    says('was not written by this command', source, tmp_path / 'other', *GRID)
    make_images(source / 'clear', ['b.png'], size=(40, 40))
    says('1 pairs differ in size', source, tmp_path / 'new', *GRID, *pairs)
    make_images(source / 'hazy', ['a.bmp'], size=(20, 20))
    says('would have the same patches', source / 'hazy', tmp_path / 'new', *GRID)
    assert not (tmp_path / 'new').exists()


def test_python_gets_what_was_written(tmp_path, make_images):
    make_images(tmp_path / 'src', ['a.png', 'b.png'], size=(20, 20))
    seen = []
    report = extract_patches(tmp_path / 'src', tmp_path / 'out', size=16, workers=1,
                             progress=lambda *numbers: seen.append(numbers))
    assert (report.images, report.skipped, report.patches, report.small, report.failures) == (2, 0, 8, [], [])
    assert seen == [(1, 2), (2, 2)] and report.pairing is None
    assert extract_patches(tmp_path / 'src', tmp_path / 'out', size=16, workers=1).skipped == 2


def test_a_link_out_of_the_output_folder_is_not_followed(tmp_path, make_images, capsys):
    make_images(tmp_path / 'src/sub', ['a.png'], size=(20, 20))
    assert call(tmp_path / 'src', tmp_path / 'out', *GRID) == 0
    for file in (tmp_path / 'out/sub').iterdir():
        file.unlink()
    (tmp_path / 'out/sub').rmdir()
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'out/sub').symlink_to(tmp_path / 'elsewhere')
    assert call(tmp_path / 'src', tmp_path / 'out', *GRID) == 1
    assert 'outside the output folder' in capsys.readouterr().err and not any((tmp_path / 'elsewhere').iterdir())

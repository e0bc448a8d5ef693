import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from machine import environment
from PIL import Image

from restorekit.checkpoint import atomic_save, network_json
from restorekit.cli.main import main
from restorekit.files.image_io import read_image
from restorekit.files.photo import read_photo
from restorekit.inference import RestorationPipeline
from restorekit.inference.torch_backend import check_device
from restorekit.models import AODNet


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    import torch
    torch.manual_seed(0)
    network = AODNet()
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp('checkpoint') / 'aod.pth'
    atomic_save(dict(meta=dict(restorekit=dict(format=1, network=network_json(dict(type='AODNet')))),
                     state_dict={f'network.{key}': value for key, value in network.state_dict().items()}), path)
    return str(path)


@pytest.fixture
def call(checkpoint, capsys):
    def call(*args, status=0):
        code = main(['restore', *map(str, args), '--checkpoint', checkpoint])
        out = capsys.readouterr()
        assert code == status, out.err
        return out.err if status else out.out
    return call


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


def test_without_a_model_the_sentence_says_what_to_give(make_images, tmp_path, capsys, monkeypatch):
    from restorekit.zoo.index import find_model
    monkeypatch.setattr(type(find_model('haze')), 'path', Path('nowhere.safetensors'))
    make_images(tmp_path, ['a.png'])
    assert main(['restore', str(tmp_path / 'a.png'), '-o', str(tmp_path / 'b.png')]) == 1
    assert '--checkpoint' in capsys.readouterr().err


def test_shards_make_the_same_files_as_one_process(call, make_images, tmp_path, monkeypatch):
    make_images(tmp_path / 'in', [f'{i}.png' for i in range(5)])
    call(tmp_path / 'in', '-o', tmp_path / 'whole')
    for i in (1, 2):
        call(tmp_path / 'in', '-o', tmp_path / 'parts', '--shard', f'{i}/2')
    assert tree(tmp_path / 'parts') == tree(tmp_path / 'whole') and len(tree(tmp_path / 'whole')) == 5
    for rank in range(2):
        monkeypatch.setenv('WORLD_SIZE', '2')
        monkeypatch.setenv('RANK', str(rank))
        call(tmp_path / 'in', '-o', tmp_path / 'torchrun')
    assert tree(tmp_path / 'torchrun') == tree(tmp_path / 'whole')
    monkeypatch.delenv('WORLD_SIZE')
    monkeypatch.setenv('SLURM_ARRAY_TASK_COUNT', '2')
    monkeypatch.setenv('SLURM_ARRAY_TASK_MIN', '10')
    for task in (10, 11):
        monkeypatch.setenv('SLURM_ARRAY_TASK_ID', str(task))
        call(tmp_path / 'in', '-o', tmp_path / 'slurm')
    assert tree(tmp_path / 'slurm') == tree(tmp_path / 'whole')
    assert 'a shard is I/N' in call(tmp_path / 'in', '-o', tmp_path / 'x', '--shard', '3/2', status=1)


def test_a_cut_run_is_continued(call, make_images, tmp_path):
    make_images(tmp_path / 'in', ['a.png', 'b.png'])
    call(tmp_path / 'in', '-o', tmp_path / 'out')
    (tmp_path / 'out' / 'b.png').unlink()
    before = (tmp_path / 'out' / 'a.png').stat().st_mtime_ns
    text = call(tmp_path / 'in', '-o', tmp_path / 'out', '--skip-existing')
    assert 'is there already' in text and (tmp_path / 'out' / 'b.png').is_file()
    assert (tmp_path / 'out' / 'a.png').stat().st_mtime_ns == before


def test_format_suffix_and_compare(call, make_images, tmp_path):
    make_images(tmp_path / 'in', ['a.png'])
    call(tmp_path / 'in', '-o', tmp_path / 'out', '--format', 'webp', '--quality', '80', '--suffix', '_clear')
    assert read_image(tmp_path / 'out' / 'a_clear.webp').shape == (24, 32, 3)
    call(tmp_path / 'in', '-o', tmp_path / 'out', '--compare')
    both = read_image(tmp_path / 'out' / 'a.png')
    assert both.shape == (24, 64, 3) and np.array_equal(both[:, :32], read_image(tmp_path / 'in' / 'a.png'))
    assert 'the format must be one of' in call(tmp_path / 'in', '-o', tmp_path / 'o', '--format', 'jp', status=1)
    assert 'quality must be' in call(tmp_path / 'in', '-o', tmp_path / 'o', '--quality', '101', status=1)


def test_strength_and_mask_reach_the_pixels(call, make_images, tmp_path, checkpoint):
    source, = make_images(tmp_path / 'in', ['a.png'])
    mask = np.zeros((24, 32), np.uint8)
    mask[:12] = 255
    cv2.imwrite(str(tmp_path / 'mask.png'), mask)
    call(source, '-o', tmp_path / 'half.png', '--strength', '0.5')
    call(source, '-o', tmp_path / 'masked.png', '--mask', tmp_path / 'mask.png')
    model = RestorationPipeline(checkpoint)
    assert np.array_equal(read_image(tmp_path / 'half.png'), model(source, strength=0.5))
    masked = read_image(tmp_path / 'masked.png')
    assert np.array_equal(masked[13:], read_image(source)[13:]) and np.array_equal(masked[:11], model(source)[:11])


def test_names_on_standard_input(call, make_images, tmp_path, monkeypatch):
    paths = make_images(tmp_path / 'in', ['a b.png', 'c.png'])
    for text in ('\n'.join(map(str, paths)) + '\n', '\0'.join(map(str, paths))):
        monkeypatch.setattr('sys.stdin', io.StringIO(text))
        call('-', '-o', tmp_path / f'out{len(text)}')
        assert sorted(tree(tmp_path / f'out{len(text)}')) == ['a b.png', 'c.png']


def test_brackets_in_a_folders_name_do_not_break_a_glob(call, make_images, tmp_path):
    make_images(tmp_path / 'day[1]', ['a.png', 'b.png'])
    call(tmp_path / 'day[1]' / '*.png', '-o', tmp_path / 'out')
    assert sorted(tree(tmp_path / 'out')) == ['a.png', 'b.png']


def test_the_output_folder_may_be_inside_the_input(call, make_images, tmp_path):
    make_images(tmp_path / 'in', ['a.png'])
    for _ in range(2):
        call(tmp_path / 'in', '-o', tmp_path / 'in' / 'out')
    assert sorted(tree(tmp_path / 'in')) == ['a.png', 'out/a.png']


def test_broken_files_are_listed_and_the_others_restored(call, make_images, tmp_path):
    folder = tmp_path / 'in'
    good, cut = make_images(folder, ['good.png', 'cut.png'])
    cut.write_bytes(cut.read_bytes()[:200])
    (folder / 'empty.png').write_bytes(b'')
    (folder / 'text.jpg').write_text('not an image')
    (folder / 'folder.png').mkdir()
    os.mkfifo(folder / 'pipe.png')
    (folder / 'gone.png').symlink_to('nowhere.png')
    (folder / 'notes.txt').write_text('x')
    bad = np.full((4, 4, 3), 0.5, np.float32)
    bad[0, 0] = np.nan
    cv2.imwrite(str(folder / 'nan.tif'), bad, [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    text = call(folder, '-o', tmp_path / 'out', status=1)
    for name, what in (('cut.png', 'is truncated'), ('empty.png', 'is empty'), ('text.jpg', 'is no'),
                       ('nan.tif', 'NaN')):
        assert any(name in line and what in line for line in text.splitlines() if line.startswith('failed:')), text
    assert '4 of 5 images could not be restored' in text and '3 files were left out' in text
    for name in ('gone.png', 'notes.txt', 'pipe.png'):
        assert name in text
    assert sorted(tree(tmp_path / 'out')) == ['good.png']


def test_a_wrong_suffix_is_no_fault(call, make_images, tmp_path):
    source, = make_images(tmp_path, ['a.png'])
    source.rename(tmp_path / 'a.jpg')
    call(tmp_path / 'a.jpg', '-o', tmp_path / 'out.png')
    assert read_image(tmp_path / 'out.png').shape == (24, 32, 3)


@pytest.mark.parametrize('name', ['a.jfif', 'a.jpe', 'a.JPG', 'a.gif', 'a.avif', 'a.bmp'])
def test_suffixes_of_cameras_and_the_web(call, tmp_path, name):
    (tmp_path / 'in').mkdir()
    kind = {'.gif': 'GIF', '.avif': 'AVIF', '.bmp': 'BMP'}.get(Path(name).suffix, 'JPEG')
    Image.fromarray(np.full((16, 16, 3), 120, np.uint8)).save(tmp_path / 'in' / name, kind)
    call(tmp_path / 'in', '-o', tmp_path / 'out')
    assert read_photo(tmp_path / 'out' / name).kind == kind


def test_pipes_and_links_to_nothing_are_named(call, tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'link.png').symlink_to('nowhere.png')
    assert 'is not a regular file but a pipe' in call(tmp_path / 'pipe', '-o', tmp_path / 'out', status=1)
    assert 'is a link to nothing' in call(tmp_path / 'link.png', '-o', tmp_path / 'out', status=1)
    assert 'is not a regular file but a device' in call('/dev/zero', '-o', tmp_path / 'out', status=1)


def test_16_bits_stay_16_bits_and_metadata_stay(call, tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (24, 32, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / 'a.tif'), deep)
    cv2.imwrite(str(tmp_path / 'a.png'), deep)
    from PIL import ImageCms
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    exif = Image.Exif()
    exif[0x0132], exif[0x0112] = '2020:01:02 03:04:05', 6
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(tmp_path / 'b.jpg', exif=exif, icc_profile=profile)
    for name in ('a.tif', 'a.png', 'b.jpg'):
        call(tmp_path / name, '-o', tmp_path / 'out' / name)
    for name in ('a.tif', 'a.png'):
        restored = read_photo(tmp_path / 'out' / name).pixels
        assert restored.dtype == np.uint16 and len(np.unique(restored % 257)) > 50, 'not computed in 8 bits'
    with Image.open(tmp_path / 'out' / 'b.jpg') as image:
        assert image.size == (24, 32) and image.info['icc_profile'] == profile
        assert image.getexif()[0x0132] == '2020:01:02 03:04:05' and image.getexif()[0x0112] == 1


def test_out_of_memory_on_one_image_is_that_images_failure(call, make_images, tmp_path, monkeypatch):
    import torch
    make_images(tmp_path / 'in', ['a.png', 'c.png'])
    make_images(tmp_path / 'in', ['b.png'], size=(24, 1200))
    forward = AODNet.forward

    def greedy(self, x):
        if x.shape[-1] > 40:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 9.31 GiB.')
        return forward(self, x)
    monkeypatch.setattr(AODNet, 'forward', greedy)
    text = call(tmp_path / 'in', '-o', tmp_path / 'out', status=1)
    assert f'b.png (1200x24) does not fit into the memory of {check_device(None)}' in text
    assert sorted(tree(tmp_path / 'out')) == ['a.png', 'c.png']


def test_the_limit_of_pixels_can_be_raised(call, make_images, tmp_path, monkeypatch):
    source, = make_images(tmp_path, ['a.png'])
    monkeypatch.setenv('RESTOREKIT_MAX_PIXELS', '100')
    assert 'a.png is 32x24' in call(source, '-o', tmp_path / 'out.png', status=1)
    call(source, '-o', tmp_path / 'out.png', '--max-pixels', '768')


def test_a_full_disk_ends_the_run_with_its_name(call, make_images, tmp_path, monkeypatch):
    make_images(tmp_path / 'in', ['a.png', 'b.png'])
    computed = []
    restore_photo = RestorationPipeline.restore_photo
    monkeypatch.setattr(RestorationPipeline, 'restore_photo',
                        lambda *args, **kwargs: (computed.append(1), restore_photo(*args, **kwargs))[1])

    def full(path, write, sync=True):
        raise OSError(28, 'No space left on device', str(path))
    monkeypatch.setattr('restorekit.files.atomic.atomic_write', full)
    text = call(tmp_path / 'in', '-o', tmp_path / 'out', status=1)
    assert 'No space left on device' in text and 'a.png' in text and len(computed) == 1


def test_unreadable_files_are_listed(call, make_images, tmp_path, monkeypatch):
    make_images(tmp_path / 'in', ['a.png', 'b.png'])
    import restorekit.files.image_io as image_io
    plain = image_io.read_bytes

    def read(path, backend_args):
        if str(path).endswith('a.png'):
            raise PermissionError(13, 'Permission denied', str(path))
        return plain(path, backend_args)
    monkeypatch.setattr(image_io, 'read_bytes', read)
    text = call(tmp_path / 'in', '-o', tmp_path / 'out', status=1)
    assert 'Permission denied' in text and 'a.png' in text and sorted(tree(tmp_path / 'out')) == ['b.png']


@pytest.mark.parametrize('name', ['a.avif', 'a.heic', 'a.gif', 'a.webp', 'a.bmp', 'a.tif', 'a.jpg'])
def test_damaged_files_of_every_kind_are_named(call, tmp_path, name):
    kind = {'.heic': 'AVIF', '.avif': 'AVIF', '.tif': 'TIFF', '.jpg': 'JPEG'}.get(Path(name).suffix, name[2:].upper())
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, kind)
    data = buffer.getvalue()
    if name == 'a.heic':
        pytest.importorskip('pillow_heif')
        data = data.replace(b'ftypavif', b'ftypheic')
        from pillow_heif import register_heif_opener
        register_heif_opener()  # by whatever came before in this process: it is then asked first
    (tmp_path / name).write_bytes(data[:len(data) // 2])
    text = call(tmp_path / name, '-o', tmp_path / 'out', status=1)
    assert name in text and 'BytesIO' not in text and 'object at' not in text
    assert any(what in text for what in ('damaged', 'truncated', 'is no')), text


def test_options_without_effect_are_named(make_images, tmp_path, capsys, checkpoint):
    make_images(tmp_path / 'in', ['a.png'])
    options = ['--quality', '80', '--video-crf', '20', '--sequence']
    assert main(['restore', str(tmp_path / 'in'), '-o', str(tmp_path / 'out'), '--checkpoint', checkpoint,
                 *options]) == 0
    text = capsys.readouterr().err
    for option in ('--quality', '--video-smooth', '--sequence'):
        assert any(line.startswith(option) and 'no effect' in line for line in text.splitlines()), option
    assert main(['restore', str(tmp_path / 'in'), '-o', str(tmp_path / 'out'), '--tile', '64', '--format', 'jpg',
                 '--quality', '80']) == 0
    text = capsys.readouterr().err
    assert '--tile has no effect: LowResolutionAffine' in text and '--quality' not in text


@pytest.mark.parametrize('options, what', [(['--suffix', '_clear'], "the suffix '_clear'"),
                                           (['--format', 'jpg'], 'the format jpg')])
def test_a_named_output_takes_no_other_name(call, make_images, tmp_path, options, what):
    source, = make_images(tmp_path, ['a.png'])
    assert what in call(source, '-o', tmp_path / 'b.png', *options, status=1)
    assert not (tmp_path / 'b.png').exists()


@pytest.mark.slow
def test_interrupted_runs_leave_no_half_file(checkpoint, tmp_path):
    (tmp_path / 'in').mkdir()
    image = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    for i in range(30):
        cv2.imwrite(str(tmp_path / 'in' / f'{i}.png'), image)
    process = subprocess.Popen([sys.executable, '-m', 'restorekit.cli.main', 'restore', str(tmp_path / 'in'), '-o',
                                str(tmp_path / 'out'), '--checkpoint', checkpoint], env=environment(),
                               stderr=subprocess.PIPE)
    end = time.monotonic() + 300
    while not list((tmp_path / 'out').glob('*.png')) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130 and b'Traceback' not in process.stderr.read()
    files = sorted((tmp_path / 'out').iterdir())
    assert 0 < len(files) < 30 and all(read_image(file).shape == image.shape for file in files)


def test_info_describes_checkpoints_and_photos(checkpoint, tmp_path, capsys):
    assert main(['info', checkpoint]) == 0
    text = capsys.readouterr().out
    assert 'AODNet' in text and '1,761' in text and 'exact' in text
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 6), np.uint16))
    assert main(['info', str(tmp_path / 'a.png')]) == 0
    text = capsys.readouterr().out
    assert '16 bits' in text and 'grey' in text
    assert main(['info', str(tmp_path / 'none.png')]) == 1
    assert 'there is no file' in capsys.readouterr().err


def test_memory_of_a_large_image_is_stated_and_refused(call, checkpoint, make_images, tmp_path, monkeypatch, capsys):
    import restorekit.inference.batch as batch
    source, = make_images(tmp_path, ['a.png'])
    monkeypatch.setattr(batch, 'WHOLE_PIXELS', 100)
    monkeypatch.setattr(batch, 'MAX_PIXELS', 100)
    monkeypatch.setattr(batch, 'free_memory', lambda: 2 ** 31)
    main(['restore', str(source), '-o', str(tmp_path / 'out.png'), '--checkpoint', checkpoint])
    assert 'a.png (32x24) needs about 0 MiB of memory; 2.0 GiB are free' in capsys.readouterr().err
    monkeypatch.setattr(batch, 'free_memory', lambda: 1000)
    text = call(source, '-o', tmp_path / 'again.png', status=1)
    assert 'a.png (32x24) needs about 0 MiB of memory to be read, restored and written, but 0 MiB are free' in text
    assert not (tmp_path / 'again.png').exists()


def test_hostile_names_of_files_stay_below_the_output_and_off_the_terminal(call, make_images, tmp_path, capsys):
    source, = make_images(tmp_path / 'in', ['a.png'])
    data = source.read_bytes()
    source.unlink()
    folder = os.fsencode(tmp_path / 'in')
    for name in (b'a\x1b[31m.png', b'not utf-8 \xff.png', b'x' * 251 + b'.png'):
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(data)
    text = call(tmp_path / 'in', '-o', tmp_path / 'out')
    assert '\x1b' not in text and '\\x1b[31m' in text and '\\xff' in text
    written = os.listdir(os.fsencode(tmp_path / 'out'))
    assert len(written) == 3 and not any(b'\x1b' in name for name in written)
    assert b'not utf-8 \xff.png' in written and b'x' * 251 + b'.png' in written

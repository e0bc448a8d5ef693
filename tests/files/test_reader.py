import os
import socket
import threading
import time

import pytest

from restorekit.cli.main import main
from restorekit.datasets import SingleDataset
from restorekit.files import image_io, reader
from restorekit.files.image_io import image_size, read_image
from restorekit.files.reader import StalledReadError, read_file, within_time

LIMIT = 2 ** 20


def test_the_content_of_a_regular_file_and_of_a_link_to_it(tmp_path):
    content = os.urandom(100_000)
    (tmp_path / 'a').write_bytes(content)
    (tmp_path / 'link').symlink_to(tmp_path / 'a')
    assert read_file(tmp_path / 'a', LIMIT) == read_file(str(tmp_path / 'link'), LIMIT) == content
    (tmp_path / 'empty').touch()
    assert read_file(tmp_path / 'empty', LIMIT) == b''
    with pytest.raises(ValueError, match='has 100000 bytes, more than the limit of 99999 for a file'):
        read_file(tmp_path / 'a', 99_999)


@pytest.fixture
def odd_files(tmp_path):
    """Name of a file -> what the message says it is."""
    os.mkfifo(tmp_path / 'fifo.png')
    (tmp_path / 'link.png').symlink_to('fifo.png')
    (tmp_path / 'device.png').symlink_to('/dev/zero')
    (tmp_path / 'terminal.png').symlink_to('/dev/tty')
    (tmp_path / 'dangling.png').symlink_to(tmp_path / 'nothing')
    (tmp_path / 'loop.png').symlink_to(tmp_path / 'loop.png')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / 'socket.png'))
        yield {'fifo.png': 'a FIFO', 'link.png': 'a FIFO', 'device.png': 'a device', 'terminal.png': 'a device',
               'dangling.png': 'which is not there', 'loop.png': 'symbolic links', 'socket.png': 'a socket'}


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='needs POSIX')
def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path, odd_files):
    for name, kind in odd_files.items():
        for read in (read_image, image_size, lambda path: read_file(path, LIMIT)):
            with pytest.raises(OSError, match=kind):
                read(tmp_path / name)
    with pytest.raises(FileNotFoundError, match='a folder'):
        read_file(tmp_path, LIMIT)
    with pytest.raises(FileNotFoundError, match='null'):
        read_file('a\0b', LIMIT)


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='needs POSIX')
@pytest.mark.parametrize('options', [(), ('--quick',)])
def test_check_data_names_them_and_does_not_hang(tmp_path, odd_files, make_images, options, capsys):
    make_images(tmp_path, ['a.png'])
    (tmp_path / 'config.py').write_text(
        f"test_dataloader = dict(dataset=dict(type='SingleDataset', image_dir={str(tmp_path)!r}))")
    assert main(['check-data', str(tmp_path / 'config.py'), '--workers', '1', *options]) == 1
    printed = capsys.readouterr().out
    assert '7 files cannot be read' in printed and 'a FIFO, not a regular file' in printed
    with pytest.raises(OSError, match='not a regular file|not there|symbolic links'):
        for index in range(8):
            SingleDataset(str(tmp_path)).load(index, 0)


def test_a_file_without_end_is_not_read_to_its_end(monkeypatch):
    path = '/proc/self/status'  # a regular file that says it has no bytes
    if not os.path.exists(path):
        pytest.skip('needs /proc')
    assert read_file(path, LIMIT) == b''


def test_a_sparse_giant_is_refused_by_its_size(tmp_path, monkeypatch):
    with open(tmp_path / 'giant.png', 'wb') as file:
        file.truncate(2 ** 40)
    with pytest.raises(ValueError, match=f'has {2 ** 40} bytes, more than the limit'):
        read_image(tmp_path / 'giant.png')


def test_a_stall_is_an_error_and_the_next_read_works(tmp_path, monkeypatch):
    monkeypatch.setenv('RESTOREKIT_READ_TIMEOUT', '0.2')
    never = threading.Event()
    with pytest.raises(StalledReadError, match=r'slow.png: nothing could be read for 0.2 seconds'):
        within_time(never.wait, 'slow.png')
    never.set()
    (tmp_path / 'a').write_bytes(b'here')
    assert read_file(tmp_path / 'a', LIMIT) == b'here'


@pytest.mark.slow
def test_a_slow_file_that_goes_on_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setenv('RESTOREKIT_READ_TIMEOUT', '0.5')
    progress = [0]

    def slowly():
        for _ in range(10):
            time.sleep(0.15)
            progress[0] += 1
        return 'all'
    assert within_time(slowly, 'slow.png', progress) == 'all'


@pytest.mark.parametrize('value', ['0', '-1', 'soon', 'inf', 'nan'])
def test_a_wrong_time_is_explained(monkeypatch, value):
    monkeypatch.setenv('RESTOREKIT_READ_TIMEOUT', value)
    with pytest.raises(ValueError, match='RESTOREKIT_READ_TIMEOUT must be a number of seconds above 0'):
        reader.stall_seconds()


def test_an_error_of_the_read_is_raised_where_it_was_asked_for(monkeypatch, tmp_path):
    def fail():
        raise PermissionError(13, 'Permission denied', 'x')
    with pytest.raises(PermissionError, match='Permission denied'):
        within_time(fail, 'x')


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_a_forked_process_reads_too(tmp_path):
    (tmp_path / 'a').write_bytes(b'here')
    read_file(tmp_path / 'a', LIMIT)
    child = os.fork()
    if not child:
        os._exit(0 if read_file(tmp_path / 'a', LIMIT) == b'here' else 1)
    deadline = time.monotonic() + 20
    while not (done := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
        time.sleep(0.01)
    if not done[0]:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert done == (child, 0)


def test_the_limit_follows_the_limit_of_pixels(tmp_path, monkeypatch, make_images):
    path, = make_images(tmp_path, ['a.png'], size=(8, 8))
    monkeypatch.setattr(image_io, 'MAX_PIXELS', 64)
    monkeypatch.setattr(image_io, 'MAX_METADATA', 0)
    assert read_image(path).shape == (8, 8, 3)
    with open(path, 'ab') as file:
        file.write(bytes(32 * 64))
    with pytest.raises(ValueError, match='more than the limit of 2048 for an image file'):
        read_image(path)

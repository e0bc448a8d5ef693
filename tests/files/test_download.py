"""Downloads from a server of this machine: hashes, names, schemes, interruptions."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from restorekit import checkpoint
from restorekit.files.download import download, file_hash
from restorekit.messages import InputError, UnavailableError
from restorekit.models import Res2Net

FILES = {'/a/net.pth': b'first', '/b/net.pth': b'second', '/cut.pth': b'x' * 1000}


@pytest.fixture
def server(monkeypatch, tmp_path):
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            data = FILES.get(self.path.partition('?')[0])
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header('Content-Length', str(len(data)))
            self.end_headers()
            self.wfile.write(data[:10] if self.path == '/cut.pth' else data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv('RESTOREKIT_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('RESTOREKIT_ALLOW_INSECURE', '1')
    server.url, server.requests = f'http://127.0.0.1:{server.server_port}', requests
    yield server
    server.shutdown()
    server.server_close()


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_two_files_of_one_name_do_not_meet_and_are_fetched_once(server):
    first = download(f'{server.url}/a/net.pth', sha(b'first'))
    second = download(f'{server.url}/b/net.pth#sha256={sha(b"second")}')
    assert first.read_bytes() == b'first' and second.read_bytes() == b'second'
    assert download(f'{server.url}/a/net.pth', sha(b'first').upper()) == first
    assert server.requests == ['/a/net.pth', '/b/net.pth']
    first.write_bytes(b'damaged')
    assert download(f'{server.url}/a/net.pth', sha(b'first')).read_bytes() == b'first'
    assert file_hash(first) == sha(b'first')


@pytest.mark.parametrize('path, digest, message', [
    ('/a/net.pth', None, 'has no known hash.*#sha256=HEX'), ('/net-20250131.pth', None, 'has no known hash'),
    ('/a/net.pth', 'xyz', 'must be 8 to 64 hexadecimal digits'), ('/a/net.pth', 'ab', 'must be 8 to 64'),
])
def test_a_file_without_a_hash_is_not_asked_for(server, path, digest, message):
    with pytest.raises(InputError, match=message):
        download(server.url + path, digest)
    assert not server.requests


@pytest.mark.parametrize('path, digest, message', [
    ('/a/net.pth', sha(b'other'), f'has the sha256 {sha(b"first")}, but {sha(b"other")} was expected'),
    ('/gone.pth', sha(b''), 'could not be downloaded .*404'), ('/cut.pth', sha(FILES['/cut.pth']), 'sha256|downloaded'),
])
def test_what_is_wrong_or_cut_is_not_kept(server, tmp_path, path, digest, message):
    with pytest.raises(UnavailableError, match=message):
        download(server.url + path, digest)
    assert not list((tmp_path / 'cache' / 'downloads').iterdir())


def test_http_and_other_schemes_are_refused(server, monkeypatch):
    monkeypatch.delenv('RESTOREKIT_ALLOW_INSECURE')
    for url in (f'{server.url}/a/net.pth', 'ftp://host/net.pth', 'file:///etc/passwd'):
        with pytest.raises(InputError, match='not an https URL'):
            download(url, sha(b'first'))
    assert not server.requests


def test_encoders_and_checkpoints_are_loaded_from_urls_with_a_hash(server, tmp_path):
    torch.manual_seed(0)  # eight digits without a letter would be taken for a date
    network = Res2Net(stage_blocks=(1, 1, 1), base_channels=16)
    torch.save(network.state_dict(), tmp_path / 'net.pth')
    data = (tmp_path / 'net.pth').read_bytes()
    FILES[f'/net-{sha(data)[:20]}.pth'] = data
    url = f'{server.url}/net-{sha(data)[:20]}.pth'
    other = Res2Net(stage_blocks=(1, 1, 1), base_channels=16)
    other.load_pretrained(url)
    assert all(value.equal(network.state_dict()[key]) for key, value in other.state_dict().items())
    assert checkpoint.load_from_http(url)['bn1.weight'].equal(network.bn1.weight)
    with pytest.raises(InputError, match='has no known hash'):
        checkpoint.load_from_http(f'{server.url}/a/net.pth')

"""``restorekit publish`` and models of others by URL and hub."""

import hashlib
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
import yaml
from reports import cells
from safetensors import safe_open

import restorekit
from restorekit.checkpoint import atomic_save, network_json
from restorekit.cli.main import main
from restorekit.evaluation.report import summarise
from restorekit.messages import InputError, MissingDependencyError, UnavailableError, UserError
from restorekit.models import EfficientNetLite
from restorekit.models.encoders.efficientnet_lite import SHA256
from restorekit.registry import MODELS
from restorekit.zoo.card import weights_table
from restorekit.zoo.remote import fetch_model

NETWORK = dict(type='GUNet', depths=[1, 1, 1], base_channels=8)


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    network = MODELS.build(NETWORK)
    meta = dict(restorekit=dict(format=1, network=network_json(NETWORK), config='{"seed": 3}'))
    path = tmp_path / 'iter_10.pth'
    atomic_save(dict(meta=meta, state_dict={f'network.{k}': v for k, v in network.state_dict().items()}), str(path))
    return path


def write_report(folder, digest, values, images='a list'):
    """A report of one set, ``sots``, by PSNR, of the inputs' 12 dB each."""
    metric = dict(label='PSNR@rgb', higher_is_better=True, unit='dB', protocol=None)
    rows = [dict(index=i, domain='sots', image=f'{i}.png', broken=False, values=[[value, 12.0]])
            for i, value in enumerate(values)]
    record = dict(checkpoint_sha256=digest, date='2026-11-25 10:00', versions=dict(restorekit='0.1.0'), config='a.py')
    folder.mkdir()
    (folder / 'summary.json').write_text(json.dumps(summarise(rows, [metric], dict(sots=images), record, {})))
    return str(folder)


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_published_file_says_what_it_is_and_restores(checkpoint, tmp_path, capsys):
    report = write_report(tmp_path / 'report', sha256(checkpoint), [21.0, 22.0])
    assert not main(['publish', str(checkpoint), 'my-haze', '--licence', 'MIT', '--summary', 'For fog.',
                     '--report', report, '-o', str(tmp_path / 'out'), '--dtype', 'float32'])
    file, = (tmp_path / 'out').glob('*.safetensors')
    digest = sha256(file)
    assert file.name == f'my-haze-{digest[:8]}.safetensors' and digest in capsys.readouterr().out
    with safe_open(str(file), framework='pt') as content:
        record = json.loads(content.metadata()['restorekit'])
    assert json.loads(record['network']) == NETWORK and record['licence'] == 'MIT'
    assert record['input_range'] == [-1, 1] and record['results'] == {'sots/PSNR@rgb': 21.5}
    assert record['intervals'] == {'sots/PSNR@rgb': [21.0, 22.0]}
    assert record['config_sha256'] == hashlib.sha256(b'{"seed": 3}').hexdigest()
    card = (tmp_path / 'out/my-haze.md').read_text()
    place = re.search(r"of the text `torch.load\('(.*)'\)\['meta'\]\['restorekit'\]\['config'\]`", card).group(1)
    text = torch.load(tmp_path / place)['meta']['restorekit']['config']
    assert hashlib.sha256(text.encode()).hexdigest() in card
    assert 'license: mit\n' in card and digest in card and 'For fog.' in card and 'Nobody has described them.' in card
    assert re.search(r'\| sots +\| +2 \| 12.00 \| +21.50 \| 21.00 to 22.00 \| 21.00 \|', card)
    photo = np.full((20, 24, 3), 90, np.uint8)
    published, trained = restorekit.load(str(file), device='cpu'), restorekit.load(str(checkpoint), device='cpu')
    assert np.array_equal(published(photo), trained(photo))
    with pytest.raises(restorekit.messages.ExistingFileError, match='my-haze.md is there already'):
        restorekit.publish(checkpoint, 'my-haze', licence='MIT', out=tmp_path / 'out')
    with pytest.raises(InputError, match="but got 'a/b'"):
        restorekit.publish(checkpoint, 'a/b', licence='MIT', out=tmp_path)


def test_a_card_of_a_packed_file_tells_of_run_data_rivals_and_failures(checkpoint, tmp_path, make_images, capsys):
    make_images(tmp_path / 'data/clear', ['1.png', '2.png'])
    scenes = dict(type='ProceduralScenes', style='city', length=5, height=16, width=16)
    photos = dict(type='SingleDataset', image_dir='clear')
    data = dict(type='ConcatDataset', datasets=dict(city=scenes, photos=photos), weights=dict(city=1, photos=3))
    (checkpoint.parent / 'run_state.json').write_text(json.dumps(dict(
        phases=dict(base=dict(iterations=10, seconds=150.0)),
        configs=dict(base=dict(train_dataloader=dict(dataset=data))))))
    (tmp_path / 'notes.md').write_text('It is small.\n\n## What it does badly\n\nNight.\n')
    (tmp_path / 'facts.yml').write_text('data: {photos: "my own, CC0"}\nsets: {sots: indoor}\n')
    packed = tmp_path / 'haze.safetensors'
    restorekit.pack(checkpoint, packed)
    report = write_report(tmp_path / 'report', sha256(packed), [21.0, 22.0])
    rival = write_report(tmp_path / 'dcp', 'another', [15.0, 15.5])
    command = ['publish', str(checkpoint), 'my-haze', '--licence', 'MIT', '--packed', str(packed), '--report', report,
               '--compare', f'dcp={rival}', '--notes', str(tmp_path / 'notes.md'), '--facts',
               str(tmp_path / 'facts.yml'), '--data-root', str(tmp_path / 'data'), '-o', str(tmp_path / 'out')]
    assert not main(command)
    card = (tmp_path / 'out/my-haze.md').read_text()
    assert 'begins with' not in card and 'first 16 of 64 digits' in card
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['my-haze.md'] and sha256(packed) in card
    assert re.search(r'\| indoor +\| +2 \| 12.00 \| 15.25 \| +21.50 \| 21.00 to 22.00 \|', card)
    assert card.index('It is small.') < card.index('## Figures') < card.index('## What it does badly\n\nNight.')
    assert 'iterations: base: 10; 2 minutes' in card and f'sha256 `{sha256(checkpoint)}`' in card
    contents = b''.join(path.read_bytes() for path in sorted((tmp_path / 'data/clear').iterdir()))
    assert re.search(r'\| photos \| +2 \| +0.75 \| my own, CC0 +\| `' + hashlib.sha256(contents).hexdigest()[:16], card)
    assert re.search(r'\| city +\| +5 \| +0.25 \| scenes drawn by code \|', card)
    for change, message in [
            (dict(report=rival, compare={}), 'measured other weights'),
            (dict(compare=dict(dcp=write_report(tmp_path / 'b', '', [1.0], 'other images'))), 'over other images'),
            (dict(report=None), r'reports to compare with \(dcp\) need a report of the model'),
            (dict(notes=tmp_path / 'none.md'), 'notes .*none.md are not there'),
            (dict(facts=tmp_path / 'notes.md'), 'notes.md is not YAML'),
            (dict(facts=checkpoint.parent / 'run_state.json'), 'must hold dicts of texts'),
            (dict(runs=[tmp_path / 'data']), 'is not the work dir of a run')]:
        options = {**dict(report=report, compare=dict(dcp=rival), packed=packed), **change}
        with pytest.raises(UserError, match=message):
            restorekit.publish(checkpoint, 'x', licence='MIT', out=tmp_path / 'no', **options)
    assert not (tmp_path / 'no').exists()
    assert main([*command, '--force', '--compare', 'dcp']) == 1
    assert '--compare takes NAME=DIR, but got dcp' in capsys.readouterr().err
    torch.manual_seed(1)
    content = torch.load(checkpoint, weights_only=True)
    content['state_dict']['network.stem.bias'] = torch.rand(8)
    torch.save(content, checkpoint)
    with pytest.raises(InputError, match='does not hold the weights of .* 1 tensors differ'):
        restorekit.publish(checkpoint, 'x', licence='MIT', packed=packed, out=tmp_path / 'no')


@pytest.mark.parametrize('licence, lines', [
    ('Apache-2.0', ['license: apache-2.0']), ('GPL-3.0-or-later', ['license: gpl-3.0']),
    ('CC-BY-NC-SA-4.0', ['license: cc-by-nc-sa-4.0']), ('MIT, as the code', ['license: other',
                                                                           'license_name: mit-as-the-code']),
    ('Research use: only (see #3)', ['license: other', 'license_name: research-use-only']),
    ('研究', ['license: other', 'license_name: other'])])
def test_the_hub_can_read_the_licence(licence, lines, checkpoint, tmp_path):
    card = restorekit.publish(checkpoint, 'x', licence=licence, out=tmp_path / 'out').card.read_text()
    assert card.split('\n')[1:len(lines) + 1] == lines
    assert yaml.safe_load(card.split('---')[1])['library_name'] == 'restorekit'
    assert re.search(rf'\| licence +\| {re.escape(licence)} ', card)


def test_the_card_names_the_weights_that_a_network_was_started_from(tmp_path):
    features = dict(type='EfficientNetLite', pretrained=True)
    timm = dict(type='TimmEncoder', name='resnet18', pretrained=True)
    mine = dict(type='Res2Net', pretrained='res2net.pth')
    (tmp_path / 'base.pth').write_bytes(b'weights')
    phases = dict(base=dict(config=dict(load_from=str(tmp_path / 'base.pth'), model=dict(
        network=dict(encoder=dict(type='PriorEncoder', features=features), others=[timm, mine]),
        teacher=dict(pretrained=True)))), fog=dict(config=dict(load_from='base/last.pth', model=dict(
            network=dict(encoder=dict(type='PriorEncoder', features=features))))))
    assert [line[:3] for line in cells(weights_table(phases, dict(TimmEncoder='timm, CC0')))[1:]] == [
        ['EfficientNetLite', EfficientNetLite.published['origin'], f'`{SHA256}`'], ['TimmEncoder', 'timm, CC0', '-'],
        ['Res2Net', '`res2net.pth`', '-'],
        ['`base.pth`', 'not stated', f'`{hashlib.sha256(b"weights").hexdigest()}`']]
    assert 'Apache-2.0' in EfficientNetLite.published['origin']
    assert weights_table(dict(base=dict(config=dict(model=dict(network=dict(type='AODNet'))))), {}) == ''


def test_models_of_the_hub_are_checked_and_cannot_hold_code(checkpoint, tmp_path, monkeypatch):
    pytest.importorskip('huggingface_hub')
    report = restorekit.publish(checkpoint, 'haze', licence='MIT', out=tmp_path / 'hub')
    files = {'me/haze': [report.file.name, 'README.md'], 'me/two': ['a.safetensors', 'b.safetensors']}
    monkeypatch.setattr('huggingface_hub.list_repo_files', files.__getitem__)
    monkeypatch.setattr('huggingface_hub.hf_hub_download', lambda repo, name: str(tmp_path / 'hub' / name))
    assert fetch_model('hf://me/haze') == report.file
    photo = np.full((20, 24, 3), 90, np.uint8)
    assert restorekit.load('hf://me/haze', device='cpu')(photo).shape == photo.shape
    with pytest.raises(InputError, match='holds 2 .safetensors files; name one'):
        fetch_model('hf://me/two')
    with pytest.raises(InputError, match='cannot hold code, but got model.pth'):
        fetch_model('hf://me/haze/model.pth')
    with pytest.raises(InputError, match='cannot hold code'):
        fetch_model('https://host/model-0123abcd.pth')
    with pytest.raises(InputError, match='is hf://user/repository, but got hf://me'):
        fetch_model('hf://me')
    report.file.write_bytes(report.file.read_bytes() + b' ')
    with pytest.raises(UnavailableError, match='not that in its name'):
        fetch_model('hf://me/haze')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(MissingDependencyError, match=r'restorekit\[hub\]'):
        fetch_model('hf://me/haze')


class Hub(BaseHTTPRequestHandler):
    """What the hub answers of one repository, ``me/haze``, whose only commit holds ``files``."""

    files = {}

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        path = self.path.partition('?')[0]
        name = path.rpartition('/')[2]
        if path.startswith('/api/models/me/haze/tree/'):
            data = json.dumps([dict(type='file', path=name, size=len(content), oid=hashlib.sha1(content).hexdigest())
                               for name, content in self.files.items()]).encode()
        elif path.startswith('/me/haze/resolve/') and name in self.files:
            data = self.files[name]
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header('Content-Type', 'application/json' if 'api' in path else 'application/octet-stream')
        self.send_header('Content-Length', str(len(data)))
        self.send_header('ETag', f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header('X-Repo-Commit', 'a' * 40)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_):
        pass


def test_a_model_is_fetched_from_a_hub_over_http(checkpoint, tmp_path, monkeypatch):
    huggingface_hub = pytest.importorskip('huggingface_hub')
    report = restorekit.publish(checkpoint, 'haze', licence='MIT', out=tmp_path / 'out')
    monkeypatch.setattr(Hub, 'files', {'README.md': b'card', report.file.name: report.file.read_bytes()})
    server = ThreadingHTTPServer(('127.0.0.1', 0), Hub)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f'http://127.0.0.1:{server.server_port}'
    monkeypatch.setattr(huggingface_hub.constants, 'ENDPOINT', url)
    monkeypatch.setattr(huggingface_hub.constants, 'HUGGINGFACE_CO_URL_TEMPLATE',
                        url + '/{repo_id}/resolve/{revision}/{filename}')
    monkeypatch.setattr(huggingface_hub.hf_api.api, 'endpoint', url)
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
    try:
        found = fetch_model('hf://me/haze')
        assert found.is_relative_to(tmp_path / 'cache') and found.read_bytes() == report.file.read_bytes()
        photo = np.full((20, 24, 3), 90, np.uint8)
        assert np.array_equal(restorekit.load('hf://me/haze', device='cpu')(photo),
                              restorekit.load(str(report.file), device='cpu')(photo))
        Hub.files[report.file.name] += b' '  # another file under the name, which holds the hash of the first
        monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_CACHE', str(tmp_path / 'empty'))
        with pytest.raises(UnavailableError, match='not that in its name'):
            fetch_model('hf://me/haze')
        with pytest.raises(UnavailableError, match='hf://me/none cannot be had'):
            fetch_model('hf://me/none')
    finally:
        server.shutdown()
        server.server_close()

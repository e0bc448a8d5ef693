"""Checkpoints are data: what is read, what is refused, what is written."""

import collections
import enum
import json
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.logging import HistoryBuffer, MessageHub
from torch import nn

from restorekit import checkpoint as ck
from restorekit.files.atomic import atomic_write_text
from restorekit.registry import MODELS

torch.set_num_threads(1)


class Attack:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def history(*values):
    buffer = HistoryBuffer()
    for value in values:
        buffer.update(value, 2)
    return buffer


def stock_checkpoint():
    """A training checkpoint as stock mmengine writes it."""
    hub = MessageHub(f'stock-{os.urandom(4).hex()}')
    for value in (1., 5., 3.):
        hub.update_scalar('train/loss', value)
    hub.update_info_dict({'iter': np.int64(7), 'best': np.float32(0.25), 'name': np.str_('a'), 'flag': np.bool_(True),
                          'table': np.arange(6, dtype=np.float32).reshape(2, 3).T, 'big': np.array([1., 2.], '>f8')})
    state = hub.state_dict()
    state['log_scalars']['val/empty'] = HistoryBuffer()
    model = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 2, 1), bn=nn.BatchNorm2d(2)))
    return {'meta': {'cfg': 'a = 1', 'iter': 7, 'dataset_meta': [('x', 1)]}, 'state_dict': model.state_dict(),
            'message_hub': state, 'optimizer': torch.optim.Adam(model.parameters()).state_dict(),
            'param_schedulers': [{'last_step': 3}]}


def save(obj, path, **kwargs):
    torch.save(obj, path, **kwargs)
    return path


# ---- reading

@pytest.mark.slow
def test_stock_training_checkpoint_loads_with_its_history(tmp_path):
    stock = stock_checkpoint()
    path = save(stock, tmp_path / 'stock.pth')
    with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer'):  # why the loader is needed
        torch.load(path, 'cpu', weights_only=True)
    allowed = set(torch.serialization.get_safe_globals())
    loaded = ck.load_checkpoint_file(path)
    assert set(torch.serialization.get_safe_globals()) == allowed  # ours were allowed for that one call
    scalars, info = loaded['message_hub']['log_scalars'], loaded['message_hub']['runtime_info']
    assert type(scalars['train/loss']) is HistoryBuffer and type(scalars) is OrderedDict
    assert scalars['train/loss'].data[0].tolist() == [1., 5., 3.] and scalars['train/loss'].data[1].tolist() == [1] * 3
    assert scalars['train/loss'].mean() == 3. and scalars['train/loss'].statistics('max') == 5.
    assert scalars['train/loss'].max_length == 1000000 and len(scalars['val/empty'].data[0]) == 0
    scalars['train/loss'].update(9.)
    assert scalars['train/loss'].current() == 9.
    assert (info['iter'], info['best'], info['name'], info['flag']) == (7, 0.25, 'a', True)
    assert info['table'].tolist() == [[0, 3], [1, 4], [2, 5]] and info['table'].dtype == np.float32
    assert info['big'].tolist() == [1., 2.]
    assert loaded['meta'] == stock['meta'] and loaded['param_schedulers'] == [{'last_step': 3}]
    assert loaded['state_dict']._metadata == stock['state_dict']._metadata
    MessageHub(f'resumed-{os.urandom(4).hex()}').load_state_dict(loaded['message_hub'])


def test_pretrained_weights_of_init_cfg_are_read_as_data(tmp_path):
    from mmengine.model import BaseModule
    from mmengine.registry import DefaultScope

    class Net(BaseModule):
        def __init__(self, **init_cfg):
            super().__init__(dict(type='Pretrained', **init_cfg))
            self.conv = nn.Linear(1, 1)

    state = {'network.encoder.conv.weight': torch.full((1, 1), 3.), 'network.encoder.conv.bias': torch.zeros(1),
             'network.decoder.w': torch.ones(1)}
    path = save(dict(stock_checkpoint(), state_dict=state), tmp_path / 'stock.pth')
    evil = save(Attack(os.mkdir, str(tmp_path / 'ran')), tmp_path / 'evil.pth')
    with DefaultScope.overwrite_default_scope('restorekit'):
        for prefix in ('network.encoder', 'encoder.'):
            net = Net(checkpoint=str(path), prefix=prefix)
            net.init_weights()
            assert net.conv.weight.item() == 3.
        with pytest.raises(ck.CheckpointError, match="no tensor below prefix='backbone'"):
            Net(checkpoint=str(path), prefix='backbone').init_weights()
        with pytest.raises(ck.CheckpointError, match='posix.mkdir'):
            Net(checkpoint=str(evil)).init_weights()
    assert not (tmp_path / 'ran').exists()


def test_download_goes_through_the_same_loader(tmp_path, monkeypatch):
    source = save(stock_checkpoint(), tmp_path / 'net.pth')
    monkeypatch.setattr('restorekit.checkpoint.read.download', lambda url, folder: source)
    assert ck.load_from_http('https://x.org/net.pth')['message_hub']['runtime_info']['iter'] == 7


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('place', [
    lambda attack: attack,
    lambda attack: {'state_dict': {'a': torch.ones(1)}, 'meta': attack},
    lambda attack: {'message_hub': {'log_scalars': {'x': attack}}},
])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, place, legacy):
    ran = tmp_path / 'ran'
    path = save(place(Attack(os.mkdir, str(ran))), tmp_path / 'evil.pth', _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ck.CheckpointError) as error:
        ck.load_checkpoint_file(path)
    assert not ran.exists()
    for part in (str(path), 'posix.mkdir', 'could run code', 'Ask its author for a state dict', 'torch.save('):
        assert part in str(error.value)
    torch.load(path, weights_only=False)
    assert ran.is_dir()  # it was live


@pytest.mark.parametrize('attack, what', [
    (Attack(getattr, HistoryBuffer, '__init__'), "'__init__'"),
    (Attack(getattr, HistoryBuffer, '__globals__'), "'__globals__'"),
    (Attack(getattr, np.ndarray, 'tofile'), "'tofile'"),
    (Attack(eval, '1 + 1'), 'eval'),
    (Attack(np.dtype, 'O'), "'O'"),
    (Attack(np.dtype, 'f8,O'), "'f8,O'"),
    (Attack(np.load, 'x'), 'numpy.load'),
    (nn.Linear(1, 1), 'torch.nn.modules.linear.Linear'),
    (np.ndarray, '_Array'),
    (Path('a'), 'pathlib.'),
])
def test_anything_but_data_is_refused_by_name(tmp_path, attack, what):
    path = save({'meta': attack}, tmp_path / 'evil.pth')
    with pytest.raises(ck.CheckpointError, match='could run code') as error:
        ck.load_checkpoint_file(path)
    assert what in str(error.value)


def test_history_in_a_file_cannot_change_its_class(tmp_path):
    class Evil(HistoryBuffer):
        def __getstate__(self):
            return {**super().__getstate__(), 'statistics_methods': {'mean': 'replaced'}, 'mean': 'replaced'}

    Evil.__module__, Evil.__qualname__ = HistoryBuffer.__module__, 'HistoryBuffer'
    evil = Evil([4.], [1])
    original, holder = HistoryBuffer, sys.modules['mmengine.logging.history_buffer']
    try:
        holder.HistoryBuffer = Evil
        path = save({'x': evil}, tmp_path / 'evil.pth')
    finally:
        holder.HistoryBuffer = original
    loaded = ck.load_checkpoint_file(path)['x']
    assert loaded.mean() == 4. and HistoryBuffer([2.], [1]).statistics('mean') == 2.


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_numpy_arrays_come_back_as_they_were(tmp_path_factory, data):
    dtype = data.draw(st.sampled_from(['?', 'i1', 'u2', '<i4', '>i8', 'f2', '<f4', '>f8', 'c8', 'U3', 'S2']))
    shape = data.draw(st.lists(st.integers(0, 3), max_size=3))
    array = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 99, shape).astype(dtype)
    array = np.asfortranarray(array) if data.draw(st.booleans()) else array
    path = tmp_path_factory.getbasetemp() / 'array.pth'
    loaded = ck.load_checkpoint_file(save({'x': array, 'scalars': list(array.ravel())}, path))
    assert loaded['x'].dtype == array.dtype and loaded['x'].shape == array.shape
    assert (loaded['x'] == array).all() and loaded['scalars'] == list(array.ravel())


@pytest.mark.parametrize('content, message', [
    (b'', r'is empty \(0 bytes\)'),
    (b'<html>404 Not Found</html>', r'\(26 bytes\) is not a checkpoint, or is cut short or damaged'),
    (b'PK\x03\x04' + bytes(100), r'\(104 bytes\) is not a checkpoint'),
    (pickle.dumps({'a': 1}, 2), 'is not a checkpoint'),
    (bytes(10), 'is not a checkpoint'),
])
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_file_that_is_no_checkpoint_is_said_with_its_size(tmp_path, content, message, suffix):
    path = tmp_path / f'a{suffix}'
    path.write_bytes(content)
    with pytest.raises(ck.CheckpointError, match=message) as error:
        ck.load_checkpoint_file(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize('keep', [0.1, 0.5, 0.99])
@pytest.mark.parametrize('legacy', [False, True])
def test_truncated_checkpoint_is_said_with_its_size(tmp_path, keep, legacy):
    path = save({'a': torch.ones(500)}, tmp_path / 'a.pth', _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * keep)])
    with pytest.raises(ck.CheckpointError, match=rf'\({int(len(content) * keep)} bytes\).*cut short'):
        ck.load_checkpoint_file(path)


def test_missing_file_folder_and_other_content_are_said(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth does not exist'):
        ck.load_checkpoint_file(tmp_path / 'none.pth')
    with pytest.raises(FileNotFoundError, match='is a folder'):
        ck.load_checkpoint_file(tmp_path)
    with pytest.raises(ck.CheckpointError, match='holds a Tensor, and a checkpoint is a dict'):
        ck.load_checkpoint_file(save(torch.ones(1), tmp_path / 'tensor.pth'))


def test_a_tensor_that_claims_more_than_its_record_is_refused(tmp_path):
    path = save({'a': torch.zeros(1000)}, tmp_path / 'a.pth')
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / 'b.pth', 'w') as new:
        for part in old.namelist():
            new.writestr(part, old.read(part)[:8 if part.endswith('data/0') else None])
    with pytest.raises(ck.CheckpointError, match='data/0 holds 8 bytes, but a tensor asks for 4000'):  # so we say
        ck.load_checkpoint_file(tmp_path / 'b.pth')


def test_what_is_moved_to_a_device_is_checked_before(tmp_path, monkeypatch):
    seen, real = [], torch.load

    def load(*args, **given):
        seen.append(given['map_location'])
        return real(*args, **given)
    monkeypatch.setattr(torch, 'load', load)
    shared = torch.ones(2)
    path = save({'a': shared, 'b': [shared, (torch.ones(1), 'x')]}, tmp_path / 'a.pth')
    moved = ck.load_checkpoint_file(path, 'meta')
    assert seen == ['cpu'] and moved['a'] is moved['b'][0] and moved['b'][1][1] == 'x'
    assert {x.device.type for x in (moved['a'], moved['b'][1][0])} == {'meta'}
    with pytest.raises(ck.CheckpointError, match='asks for tensors|spread over'):
        ck.load_checkpoint_file(save(dict(w=torch.ones(1).expand(10 ** 9)), tmp_path / 'c.pth'), 'meta')


@pytest.mark.parametrize('device', ['meta', torch.device('meta')])
def test_map_location_is_respected(tmp_path, device):
    from safetensors.torch import save_file
    path = save({'a': torch.ones(2)}, tmp_path / 'a.pth')
    assert ck.load_checkpoint_file(path)['a'].device.type == 'cpu'
    assert ck.load_checkpoint_file(path, device)['a'].device.type == 'meta'
    assert ck.load_checkpoint_file(path, lambda storage, place: storage)['a'].tolist() == [1, 1]
    save_file({'a': torch.ones(2)}, tmp_path / 'a.safetensors')
    assert ck.load_checkpoint_file(tmp_path / 'a.safetensors', None)['state_dict']['a'].device.type == 'cpu'


def test_safetensors_load_with_their_metadata(tmp_path):
    from safetensors.torch import save_file
    net = nn.Linear(3, 2)
    path = tmp_path / 'net.safetensors'
    save_file(net.state_dict(), path, {'network': '{}'})
    loaded = ck.load_checkpoint_file(str(path))
    assert loaded['meta'] == {'network': '{}'}
    other = nn.Linear(3, 2)
    ck.load_network_weights(other, ck.network_state(loaded), str(path))
    assert torch.equal(other.weight, net.weight) and torch.equal(other.bias, net.bias)


# ---- writing

class Level(enum.IntEnum):
    LOW = 1


Pair = collections.namedtuple('Pair', 'x y')


def test_plain_needs_no_allow_list_and_keeps_the_history(tmp_path):
    stock = {**stock_checkpoint(), 'odd': {
        'path': Path('a/b'), 'pair': Pair(1, np.float64(2.5)), 'level': Level.LOW, 'empty': b'', 'bytes': b'ab',
        'long': np.longdouble(0.5), 'counts': collections.defaultdict(int, a=1), 'set': frozenset({1}),
        'inf': float('inf'),
        'text': np.array(['a', 'b']), 'size': torch.Size([1]), 'dtype': torch.float16, 'device': torch.device('cpu'),
        'reversed': np.arange(3)[::-1], 'scalar': np.array(3), 'big': 2**70, 'complex': np.complex64(1j)}}
    path = tmp_path / 'plain.pth'
    ck.atomic_save(ck.plain(stock), path)
    assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    loaded = ck.restore_history(torch.load(path, weights_only=True))
    odd = loaded['odd']
    assert (odd['path'], odd['pair'], odd['level'], odd['counts']) == ('a/b', (1, 2.5), 1, {'a': 1})
    assert (odd['empty'], odd['bytes'], odd['long'], odd['set'], odd['inf']) == (b'', b'ab', 0.5, {1}, float('inf'))
    assert (odd['text'], odd['size'], odd['dtype']) == (['a', 'b'], torch.Size([1]), torch.float16)
    assert odd['reversed'].tolist() == [2, 1, 0] and odd['scalar'].item() == 3 and odd['scalar'].shape == ()
    assert odd['big'] == 2**70 and odd['complex'] == 1j
    before, after = (c['message_hub']['log_scalars']['train/loss'] for c in (stock, loaded))
    for name in ('min', 'max', 'mean', 'current'):
        assert after.statistics(name) == before.statistics(name)
    assert after.data[0].dtype == before.data[0].dtype and after.max_length == before.max_length
    assert loaded['message_hub']['runtime_info']['iter'] == 7
    assert loaded['state_dict']._metadata == stock['state_dict']._metadata
    assert all(torch.equal(loaded['state_dict'][key], value) for key, value in stock['state_dict'].items())
    MessageHub(f'resumed-{os.urandom(4).hex()}').load_state_dict(loaded['message_hub'])


def test_plain_does_not_copy_tensors_nor_change_its_argument():
    weight = nn.Parameter(torch.ones(2))
    source = {'w': weight, 'log': [history(1.)]}
    result = ck.plain(source)
    assert result['w'] is weight and type(source['log'][0]) is HistoryBuffer
    assert result['log'][0] == {'type': 'HistoryBuffer', 'log': torch.tensor([1.]), 'count': torch.tensor([2.]),
                                'max_length': 1000000}


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), length=st.integers(1, 10))
@settings(max_examples=50, deadline=None)
def test_history_survives_plain_and_back(values, length):
    buffer = HistoryBuffer(max_length=length)
    for i, value in enumerate(values):
        buffer.update(value, i + 1)
    again = ck.restore_history([(ck.plain(buffer),)])[0][0]
    assert [part.tolist() for part in again.data] == [part.tolist() for part in buffer.data]
    assert again.mean() == buffer.mean() and again.max_length == length
    again.update(1.)
    assert len(again.data[0]) == min(len(values) + 1, length)


@pytest.mark.parametrize('value, name', [(print, 'builtin_function_or_method'), (nn.Linear(1, 1), 'Linear'),
                                         (int, 'type'), (np.datetime64('2020-01-01'), 'numpy.datetime64')])
def test_plain_says_where_something_is_no_data(value, name):
    with pytest.raises(TypeError, match=r"checkpoint\['meta'\]\[1\] is a .*which is not data") as error:
        ck.plain({'meta': [0, value]})
    assert name in str(error.value)


def test_atomic_writes_leave_the_old_file_or_the_whole_new_one(tmp_path, monkeypatch):
    path, text = tmp_path / 'a.pth', tmp_path / 'a.json'
    ck.atomic_save({'a': 1}, path)
    atomic_write_text('é', str(text))
    assert torch.load(path) == {'a': 1} and text.read_text(encoding='utf-8') == 'é'
    with pytest.raises((AttributeError, pickle.PicklingError)):
        ck.atomic_save({'a': torch.ones(1000), 'b': lambda: 0}, path)

    def interrupted(*_):
        raise KeyboardInterrupt

    for name in ('fsync', 'replace'):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                ck.atomic_save({'a': 2}, path)
            with pytest.raises(KeyboardInterrupt):
                atomic_write_text('other', text)
    assert torch.load(path) == {'a': 1} and text.read_text(encoding='utf-8') == 'é'
    assert sorted(os.listdir(tmp_path)) == ['a.json', 'a.pth']
    ck.atomic_save({'a': 3}, path)
    assert torch.load(path) == {'a': 3}
    monkeypatch.chdir(tmp_path)
    atomic_write_text('here', 'b.txt')
    assert (tmp_path / 'b.txt').read_text() == 'here'
    with pytest.raises(FileNotFoundError):
        atomic_write_text('x', tmp_path / 'none' / 'b.txt')


# ---- networks

@pytest.mark.parametrize('wrap', [
    lambda state: state,
    lambda state: {f'module.{key}': value for key, value in state.items()},
    lambda state: {'state_dict': state, 'meta': {}},
    lambda state: {'state_dict': {'bank': torch.ones(1), **{f'network.{key}': value for key, value in state.items()}}},
    lambda state: {'state_dict': {f'module.network.{key}': value for key, value in state.items()}, 'optimizer': {}},
])
def test_network_state_is_found_in_every_form(wrap):
    net, other = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    net.weight.data.fill_(3)
    state = ck.network_state(wrap(net.state_dict()))
    assert list(state) == list(net.state_dict())
    ck.load_network_weights(other, state, 'a.pth')
    assert other.weight.tolist() == [3, 3]


@pytest.mark.parametrize('checkpoint', [{}, {'meta': {}, 'optimizer': 1}, {'state_dict': {}}, {'state_dict': [1]}])
def test_checkpoint_without_a_network_is_said(checkpoint):
    with pytest.raises(ck.CheckpointError, match='has no network|not a dict of tensors'):
        ck.network_state(checkpoint)


def test_weights_of_another_network_are_refused_with_numbers():
    net = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(7)), nn.Linear(2, 3))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    state = {'7.weight': torch.ones(4, 2), '7.bias': torch.ones(3), 'extra': torch.ones(1)}
    with pytest.raises(RuntimeError) as error:
        ck.load_network_weights(net, state, 'dir/other.pth')
    message = str(error.value)
    assert 'dir/other.pth is a checkpoint of another network than this Sequential' in message
    assert "7 missing: '0.weight', '1.weight', '2.weight', '3.weight', '4.weight' and 2 more" in message
    assert '5.weight' not in message
    assert "1 unexpected: 'extra'" in message
    assert "1 of the wrong shape: '7.weight' is (4, 2), not (3, 2)" in message
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


class Toy(nn.Linear):
    """A user's own network."""


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(MODELS, '_module_dict', {'ToyNet': Toy, 'ToyEncoder': Toy})
    monkeypatch.setattr(MODELS, '_imported', True)


def test_network_config_travels_as_json(registered):
    from mmengine.config import ConfigDict
    encoder = {'type': 'ToyEncoder', 'pretrained': 'x.pth', 'depth': 3, 'scales': (1, 0.5)}
    cfg = ConfigDict(type='ToyNet', encoder=encoder, init_cfg={'type': 'Pretrained', 'checkpoint': 'x'},
                     _scope_='restorekit', act=None, name='os.system')
    text = ck.network_json(cfg)
    assert ck.network_config_from_json(text) == {
        'type': 'ToyNet', 'encoder': {'type': 'ToyEncoder', 'depth': 3, 'scales': [1, 0.5]}, 'act': None,
        'name': 'os.system'}
    assert json.loads(text) == ck.network_config_from_json(text)
    assert 'init_cfg' in cfg  # the argument is not changed


@pytest.mark.parametrize('data, message', [
    ({'type': 'os.system'}, "network.type is 'os.system': only the plain name"),
    ({'type': 'mmengine::ToyNet'}, 'only the plain name'),
    ({'type': 'restorekit.ToyNet'}, 'only the plain name'),
    ({'type': 'ToyNet', 'encoder': [{'type': 'ToyEncodr'}]}, r"network.encoder\[0\].type: 'ToyEncodr'.*'ToyEncoder'"),
    ({'type': ['ToyNet']}, 'only the plain name'),
    ({'type': 'ToyNet', 'init_cfg': {}}, "network.init_cfg: .*may not have the key 'init_cfg'"),
    ({'type': 'ToyNet', 'a': {'_scope_': 'mmengine'}}, 'may not have'),
    ({'type': 'ToyNet', 'a': {'pretrained': None}}, 'may not have'),
    ({'type': 'ToyNet', '_base_': 'x'}, 'may not have'),
    ({'type': 'ToyNet', 'a': float('nan')}, 'network.a is nan'),
    ({'encoder': {'type': 'ToyNet'}}, "a dict with a 'type'"),
    (['ToyNet'], "a dict with a 'type'"),
])
def test_network_config_in_a_checkpoint_is_held_to_be_data(registered, data, message):
    with pytest.raises(ValueError, match=message):
        ck.network_config_from_json(json.dumps(data))


@pytest.mark.parametrize('text', ['', 'dict(type=1)', '{"type": ', None, '[' * 100000, '{"a":' * 400 + '1' + '}' * 400])
def test_network_config_that_is_no_json_is_refused(registered, text):
    with pytest.raises(ValueError, match='network config'):
        ck.network_config_from_json(text)


@pytest.mark.parametrize('value', [nn.Linear, torch.float16, np.float32(1), {1: 2}, Path('x')])
def test_network_config_that_is_not_plain_is_not_written(registered, value):
    with pytest.raises(TypeError, match='network'):
        ck.network_json({'type': 'ToyNet', 'value': value})


# ---- small files that ask for much

def test_numbers_of_bytes_are_not_obeyed(tmp_path):
    numbered = b'\x80\x02}q\x00U\x01acbuiltins\nbytearray\nJ' + (10 ** 9).to_bytes(4, 'little') + b'\x85Rs.'
    path = tmp_path / 'zeros.pth'
    torch.save({'a': 1}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for name, data in parts.items():
            archive.writestr(name, numbered if name.endswith('data.pkl') else data)
    with pytest.raises(ck.CheckpointError, match='bytearray'):
        ck.load_checkpoint_file(path)
    torch.save({'a': bytearray(), 'b': bytearray(b'ab')}, path)
    assert ck.load_checkpoint_file(path) == {'a': bytearray(), 'b': bytearray(b'ab')}


def test_archives_that_expand_are_refused(tmp_path):
    path = tmp_path / 'bomb.pth'
    torch.save({'a': torch.zeros(10 ** 6)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(ck.CheckpointError, match='would unpack to 4000'):
        ck.load_checkpoint_file(path)


def _shared(levels):
    items = [1]
    for _ in range(levels):
        items = [items, items]
    return items


def _circle():
    items = []
    items.append(items)
    return items


def _nested(levels):
    items = 1
    for _ in range(levels):
        items = [items]
    return items


@pytest.mark.parametrize('content, message', [
    ({'a': _shared(30)}, 'hold each other so often'), ({'a': _circle()}, 'hold each other so often'),
    ({'a': _nested(150)}, 'more than 100 levels'),
    ({'a': torch.zeros(1).expand(10 ** 10)}, r'save it with .contiguous'),
])
def test_files_that_expand_in_memory_are_refused(tmp_path, content, message):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(ck.CheckpointError, match=message):
        ck.load_checkpoint_file(tmp_path / 'a.pth')


def test_a_shared_list_is_rebuilt_once_and_stays_shared(tmp_path):
    torch.save({'a': _shared(8), 'state_dict': {'w': torch.ones(2)}}, tmp_path / 'a.pth')
    content = ck.load_checkpoint_file(tmp_path / 'a.pth')
    assert content['a'][0] is content['a'][1] and content['a'] == _shared(8)


SMALL = dict(type='EncoderDecoder', encoder=dict(type='Res2Net', stage_blocks=[1, 1, 1], base_channels=16),
             decoder=dict(type='AffineDecoder'))


@pytest.mark.parametrize('encoder, message', [
    (dict(stage_blocks=[10 ** 6, 1, 1]), 'far more than the file has tensors'),
    (dict(base_channels=6000), 'of another network'),
    (dict(base_channels=-1), 'cannot be built'), (dict(depths=3), 'cannot be built'),
])
def test_descriptions_that_do_not_fit_the_file_allocate_nothing(encoder, message):
    state = MODELS.build(SMALL).state_dict()
    cfg = dict(SMALL, encoder=dict(SMALL['encoder'], **encoder))
    with pytest.raises(ck.CheckpointError, match=message):
        ck.build_described_network(cfg, state, 'a.pth')
    network = ck.build_described_network(SMALL, state, 'a.pth')
    assert all(value.equal(state[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize('cfg, message', [
    (dict(type='StoredPredictions', folder='/'), 'is not a network, encoder, decoder or block'),
    (dict(type='Restorer', network=dict(type='AODNet')), 'is not a network'),
    (dict(type='EncoderDecoder', encoder=dict(type='L1Loss')), 'L1Loss is not a network'),
    (dict(type='AODNet', channels=10 ** 12), 'whole numbers up to'), (dict(type='AODNet', x=[0] * 5000), '5000 items'),
    (dict(type='AODNet', checkpoint='/etc/passwd'), "may not have the key 'checkpoint'"),
])
def test_descriptions_name_networks_only(cfg, message):
    with pytest.raises(ValueError, match=message):
        ck.network_config_from_json(json.dumps(cfg))
    with pytest.raises(ValueError, match='more than 1048576'):
        ck.network_config_from_json(json.dumps(dict(type='AODNet', name='x' * 2 ** 20)))


def test_a_file_without_a_network_is_named():
    with pytest.raises(ck.CheckpointError, match="^a.pth has no network: .*its keys are epoch"):
        ck.network_state(dict(epoch=1), 'a.pth')


def test_settings_without_weights_are_compared():
    from restorekit.checkpoint import network_differences, network_json
    network = dict(type='AODNet', channels=3, encoder=dict(type='Res2Net', stages=(1, 2)))
    checkpoint = dict(meta=dict(restorekit=dict(network=network_json(network))))
    assert network_differences(checkpoint, dict(network, init_cfg=dict(type='X')), 'a.pth') == []
    other = dict(network, channels=4, encoder=dict(type='Res2Net', dilation=2))
    assert network_differences(checkpoint, other, 'a.pth') == [
        'channels is 4 in the config and 3 in the checkpoint',
        'encoder.dilation is 2 in the config and not set in the checkpoint',
        'encoder.stages is not set in the config and [1, 2] in the checkpoint']
    assert network_differences({}, network, 'a.pth') == []
    assert network_differences(checkpoint, dict(type='Mine'), 'a.pth') == []

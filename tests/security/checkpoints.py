"""Hostile checkpoints, each a mechanism of its own: name -> (how to write it, what is expected).

Expected is ``refused``: reading it raises a CheckpointError; or ``data``: it can be read as data, and what it says is
refused or harmless where it is used.
"""

# ruff: noqa: E501 (tables of attacks read better a line each)

import io
import json
import os
import pickle
import struct
import zipfile

import torch

MARK = 'SECURITY_MARK'  # what code in a checkpoint would make in the working directory

#: module, name and arguments of a call that unpickling would make
CALLS = [
    ('os', 'system', (f'touch {MARK}',)), ('posix', 'mkdir', (MARK,)), ('builtins', 'eval', (f"open('{MARK}', 'w')",)),
    ('builtins', 'exec', (f"open('{MARK}', 'w')",)), ('builtins', 'open', (MARK, 'w')),
    ('builtins', '__import__', ('antigravity',)), ('builtins', 'compile', ('1', 'x', 'eval')),
    ('builtins', 'getattr', ((), '__class__')), ('builtins', 'setattr', ('x', 'y', 1)), ('builtins', 'input', ()),
    ('builtins', 'breakpoint', ()), ('builtins', 'globals', ()), ('builtins', 'type', ('X', (), {})),
    ('builtins', 'range', (10 ** 12,)), ('builtins', 'bytearray', (10 ** 12,)), ('builtins', 'memoryview', (b'x',)),
    ('builtins', 'list', (b'x' * 9,)), ('builtins', 'print', ('x',)), ('builtins', 'exit', ()),
    ('subprocess', 'Popen', (['touch', MARK],)), ('subprocess', 'check_output', (['touch', MARK],)),
    ('shutil', 'rmtree', ('.',)), ('shutil', 'copy', ('/etc/passwd', MARK)), ('socket', 'create_connection', (('x.org', 80),)),
    ('socket', 'getaddrinfo', ('x.org', 80)), ('pathlib', 'Path.write_text', (MARK,)), ('pathlib', 'PosixPath', ('x',)),
    ('importlib', 'import_module', ('antigravity',)), ('runpy', 'run_path', ('x.py',)), ('runpy', 'run_module', ('this',)),
    ('pickle', 'loads', (b'',)), ('_pickle', 'loads', (b'',)), ('marshal', 'loads', (b'',)), ('types', 'FunctionType', ()),
    ('types', 'CodeType', ()), ('types', 'SimpleNamespace', ()), ('functools', 'partial', (len,)), ('functools', 'reduce', (max, [1])),
    ('operator', 'attrgetter', ('x',)), ('operator', 'methodcaller', ('x',)), ('operator', 'itemgetter', (0,)),
    ('itertools', 'repeat', (1,)), ('ctypes', 'CDLL', ('libc.so.6',)), ('code', 'interact', ()), ('pdb', 'run', ('1',)),
    ('webbrowser', 'open', ('http://x.org',)), ('urllib.request', 'urlopen', ('http://x.org',)),
    ('urllib.request', 'urlretrieve', ('http://x.org', MARK)), ('tempfile', 'mkstemp', ()), ('logging', 'FileHandler', (MARK,)),
    ('sqlite3', 'connect', (MARK,)), ('zipfile', 'ZipFile', (MARK, 'w')), ('tarfile', 'open', (MARK, 'w')),
    ('shelve', 'open', (MARK,)), ('multiprocessing', 'Process', ()), ('threading', 'Thread', ()), ('signal', 'alarm', (1,)),
    ('os', 'kill', (os.getpid(), 9)), ('os', '_exit', (3,)), ('sys', 'exit', (3,)), ('sys', 'setrecursionlimit', (10,)),
    ('os', 'remove', ('victim',)), ('os', 'rename', ('victim', 'x')), ('os', 'putenv', ('A', 'b')), ('os', 'chdir', ('/',)),
    ('torch', 'load', ('x',)), ('torch', 'save', ({}, MARK)), ('torch.hub', 'load', ('a/b', 'c')), ('torch.jit', 'load', ('x',)),
    ('torch.ops', 'load_library', ('x',)), ('torch.utils.cpp_extension', 'load', ('x', ())), ('torch.nn', 'Linear', (1, 1)),
    ('torch.storage', '_load_from_bytes', (b'',)), ('torch', 'set_default_dtype', (1,)),
    ('torch.serialization', 'add_safe_globals', ([],)), ('torch.distributed', 'init_process_group', ()),
    ('numpy', 'load', ('x',)), ('numpy', 'memmap', (MARK,)), ('numpy', 'fromfile', ('/etc/passwd',)), ('numpy', 'save', (MARK, 1)),
    ('mmengine', 'Config.fromfile', ('x.py',)), ('mmengine.fileio', 'dump', ({}, MARK)), ('restorekit.cli.main', 'main', ([],)),
    ('restorekit.files.atomic', 'atomic_write_text', ('x', MARK)), ('yaml', 'unsafe_load', ('1',)), ('cv2', 'imwrite', (MARK, 1)),
    ('collections', 'defaultdict', (len,)), ('copyreg', '_reconstructor', ()), ('copyreg', '__newobj__', ()),
]


def _pickle_call(module, name, arguments):
    """A pickle of ``{'state_dict': module.name(*arguments)}``, without that being importable here."""
    head = b'\x80\x02}X\n\x00\x00\x00state_dict' + b'c' + module.encode() + b'\n' + name.encode() + b'\n'
    try:
        body = pickle.dumps(arguments, 2)[2:-1]
    except Exception:  # a builtin among the arguments of another module
        body = b')'
    return head + body + b'Rs.'


def _zip(path, data, extra=(), compress=zipfile.ZIP_STORED, prefix='archive'):
    with zipfile.ZipFile(path, 'w', compress) as archive:
        archive.writestr(f'{prefix}/data.pkl', data)
        archive.writestr(f'{prefix}/version', '3\n')
        for name, content in extra:
            archive.writestr(name, content)


def _tensor_pickle(size, stride, offset, numel, key='0', storage='FloatStorage'):
    """The pickle of a dict with one tensor whose header says whatever we like."""
    out = io.BytesIO()
    out.write(b'\x80\x02}X\x01\x00\x00\x00w' b'ctorch._utils\n_rebuild_tensor_v2\n(' b'(X\x07\x00\x00\x00storage'
              b'ctorch\n' + storage.encode() + b'\n')
    out.write(b'X' + struct.pack('<I', len(key)) + key.encode() + b'X\x03\x00\x00\x00cpu')
    out.write(pickle.dumps(numel, 2)[2:-1] + b'tQ')
    for value in (offset, tuple(size), tuple(stride), False):
        out.write(pickle.dumps(value, 2)[2:-1])
    out.write(b'ccollections\nOrderedDict\n)RtRs.')
    return out.getvalue()


def _shared(depth):
    value = ['x']
    for _ in range(depth):
        value = [value, value]
    return value


def _nested(depth):
    value = {}
    for _ in range(depth):
        value = {'a': value}
    return value


def _selfish():
    value = {}
    value['a'] = value
    return value


def _cycle_of_lists():
    value = []
    value.append([value])
    return value


def _safetensors(header, data=b'', length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(text) if length is None else length) + text + data


def _described(network, state=None):
    text = network if isinstance(network, (str, bytes, int, list)) else json.dumps(network)
    return dict(state_dict=state or {'w': torch.ones(1)}, meta=dict(restorekit=dict(network=text)))


_ENCODER = dict(type='Res2Net', stage_blocks=[1, 1, 1], base_channels=8, base_width=16)


def _encoder_decoder(**encoder):
    return dict(type='EncoderDecoder', encoder={**_ENCODER, **encoder}, decoder=dict(type='AffineDecoder', channels=8))


def corpus():
    """Return name -> (write, expected); ``write(path)`` makes the file."""
    found = {}

    def add(name, write, expected, suffix='.pth'):
        assert name not in found, name
        found[name] = write, expected, suffix

    for module, name, arguments in CALLS:
        data = _pickle_call(module, name, arguments)
        add(f'calls {module}.{name}', lambda path, data=data: _zip(path, data), 'refused')
    raw = {
        'legacy pickle of a call': b'cposix\nmkdir\n(S\'' + MARK.encode() + b"'\ntR.",
        'INST': b'(S\'' + MARK.encode() + b"'\niposix\nmkdir\n.", 'OBJ': b'(cposix\nmkdir\nS\'' + MARK.encode() + b"'\no.",
        'STACK_GLOBAL': b'\x80\x04\x8c\x05posix\x8c\x05mkdir\x93\x8c\x01x\x85R.',
        'NEWOBJ': b'\x80\x02cbuiltins\nobject\n)\x81.', 'NEWOBJ_EX': b'\x80\x04cbuiltins\nobject\n)}\x92.',
        'BUILD of a class': b'\x80\x02ctorch.nn\nLinear\n)\x81}X\x01\x00\x00\x00aK\x01sb.', 'EXT1': b'\x80\x02\x82\x01.',
        'PERSID': b'Pxyz\n.', 'empty stack': b'\x80\x02.', 'no STOP': b'\x80\x02}', 'protocol 255': b'\x80\xff}.',
        'LONG4 of 2 GB': b'\x80\x02\x8b\xff\xff\xff\x7f.', 'BINBYTES8 of 2**60': b'\x80\x04\x8e' + struct.pack('<Q', 2 ** 60) + b'.',
        'BINUNICODE8 of 2**60': b'\x80\x04\x8d' + struct.pack('<Q', 2 ** 60) + b'.', 'FRAME': b'\x80\x04\x95' + struct.pack('<Q', 2 ** 60) + b'.',
        'memo of 4 billion': b'\x80\x02}r\xff\xff\xff\xff.', 'unknown memo': b'\x80\x02h\x07.', 'MARK alone': b'\x80\x02(.',
        'GLOBAL across lines': b'\x80\x02cos\nsystem\nx\n.', 'unhashable key': b'\x80\x02}]K\x01s.',
        'DUP': b'\x80\x02]22222.', 'POP too often': b'\x80\x02]000.', 'opcode 0xff': b'\x80\x02\xff.',
        'reduce of a number': b'\x80\x02K\x01)R.', 'append to a number': b'\x80\x02K\x01K\x02a.'}
    for name, data in raw.items():
        expected = 'data' if name in ('protocol 255', 'memo of 4 billion') else 'refused'  # an empty dict all the same
        add(f'pickle in a zip: {name}', lambda path, data=data: _zip(path, data), expected)
        add(f'bare pickle: {name}', lambda path, data=data: path.write_bytes(data), 'refused')
    fine = pickle.dumps({}, 2)
    add('zip: compressed bomb', lambda path: _zip(path, fine, [('archive/data/0', bytes(2 ** 26))], zipfile.ZIP_DEFLATED), 'refused')
    add('zip: names that lead out', lambda path: _zip(path, fine, [('../../' + MARK, b'x'), ('/' + MARK, b'x')]), 'refused')
    add('zip: no data.pkl', lambda path: zipfile.ZipFile(path, 'w').writestr('archive/version', '3'), 'refused')
    add('zip: two data.pkl', lambda path: _zip(path, fine, [('other/data.pkl', raw['legacy pickle of a call'])]), 'refused')
    add('zip: torchscript', lambda path: _zip(path, fine, [('archive/constants.pkl', fine), ('archive/code/x.py', b'1')]), 'refused')
    for name, arguments in {
            'more than its storage': ([10 ** 6], [1], 0, 1), 'more than its record': ([1000], [1], 0, 1000), 'a million times one number': ([10 ** 9], [0], 0, 1),
            'an offset beyond the end': ([1], [1], 10 ** 9, 1), 'a negative size': ([-1], [1], 0, 1),
            'a negative stride': ([2], [-1], 0, 1), 'a negative offset': ([1], [1], -1, 1), 'negative numel': ([1], [1], 0, -1),
            'numel of 2**60': ([1], [1], 0, 2 ** 60), 'size 2**62': ([2 ** 62, 4], [1, 1], 0, 1), '70 dimensions': ([1] * 70, [1] * 70, 0, 1),
            'a storage that is not there': ([1], [1], 0, 1, '7'), 'a storage that leads out': ([1], [1], 0, 1, '../../x'),
            'no storage class': ([1], [1], 0, 1, '0', 'Tensor')}.items():
        add(f'tensor: {name}', lambda path, a=arguments: _zip(path, _tensor_pickle(*a), [('archive/data/0', bytes(4))]), 'data' if name == '70 dimensions' else 'refused')
    for name, obj, expected in [
            ('lists shared 30 deep', _shared(30), 'refused'), ('nested 2,000 deep', None, 'refused'),
            ('holds itself', _selfish(), 'refused'), ('a list that holds itself', _cycle_of_lists(), 'refused'),
            ('a list', [1, 2], 'refused'), ('a tensor', torch.ones(2), 'refused'), ('text', 'x', 'refused'), ('empty dict', {}, 'data'),
            ('expanded tensor', dict(w=torch.ones(1).expand(10 ** 9)), 'refused'), ('meta tensor', dict(w=torch.empty(9, device='meta')), 'data'),
            ('sparse tensor', dict(w=torch.eye(3).to_sparse()), 'data'), ('complex tensor', dict(w=torch.ones(2, dtype=torch.complex64)), 'data'),
            ('NaN weights', dict(w=torch.full((3,), float('nan'))), 'data'), ('int keys', {1: torch.ones(1)}, 'data'),
            ('None keys', {None: torch.ones(1)}, 'data'), ('tuple keys', {('a',): torch.ones(1)}, 'data'),
            ('text for weights', dict(state_dict=dict(w='x')), 'data'), ('a list for weights', dict(state_dict=[1]), 'data'),
            ('None for weights', dict(state_dict=None), 'data'), ('empty weights', dict(state_dict={}), 'data'),
            ('meta is None', dict(state_dict=dict(w=torch.ones(1)), meta=None), 'data'), ('meta is text', dict(state_dict=dict(w=torch.ones(1)), meta='x'), 'data'),
            ('config of Python', dict(state_dict=dict(w=torch.ones(1)), meta=dict(config=f"open('{MARK}','w')")), 'data'),
            ('names of a megabyte', {f'{i}' + 'w' * 2 ** 20: torch.ones(1) for i in range(5)}, 'data'),
            ('nested tensor', dict(w=torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])), 'data'),
            ('a history with text', dict(message_hub=dict(log_scalars=dict(a=dict(type='HistoryBuffer', log='x', count='y', max_length=3)))), 'data')]:
        if obj is None:
            data = b'\x80\x02' + b']' * 2000 + b'a' * 1999 + b'.'
            add('structure: nested 2,000 deep', lambda path, data=data: _zip(path, data), 'refused')
        else:
            add(f'structure: {name}', lambda path, obj=obj: torch.save(obj, path), expected)
    for name, network in {
            'a million blocks': _encoder_decoder(stage_blocks=[10 ** 7, 1, 1]), 'wide': _encoder_decoder(base_channels=6000),
            'negative width': _encoder_decoder(base_channels=-8), 'text for a number': _encoder_decoder(base_channels='8'),
            'unknown argument': _encoder_decoder(no_such=1), 'dotted type': dict(type='os.system', command='x'), 'scope': dict(type='mmengine.Config'),
            'a restorer': dict(type='CIDRestorer', network=dict(type='AODNet')), 'stored predictions': dict(type='StoredPredictions', folder='/'),
            'a loss': dict(type='L1Loss'), 'a dataset': dict(type='PairedDataset'), 'weights from a URL': _encoder_decoder(pretrained='http://x.org/a.pth'),
            'init_cfg': dict(type='AODNet', init_cfg=dict(type='Pretrained', checkpoint='http://x.org/a')), 'a base': dict(type='AODNet', _base_='/etc/passwd'),
            'no type': dict(channels=3), 'not JSON': '{', 'a number': 3, 'a list': [1], 'deep JSON': '[' * 10 ** 5, 'NaN': '{"type": "AODNet", "a": NaN}',
            'infinite': '{"type": "AODNet", "a": 1e999}', 'long text': json.dumps(dict(type='AODNet', a='x' * 2 ** 21)), 'bytes': b'{}',
            'list of 10,000': dict(type='AODNet', a=[1] * 10000), 'huge number': dict(type='AODNet', a=10 ** 30),
            'right type, no weights of it': dict(type='AODNet')}.items():
        add(f'describes: {name}', lambda path, network=network: torch.save(_described(network), path), 'data')
    for name, content in {
            'header of 2**60 bytes': _safetensors({}, length=2 ** 60), 'header longer than the file': _safetensors({}, length=1000),
            'header of nothing': struct.pack('<Q', 0), 'not JSON': _safetensors(b'{'), 'a list': _safetensors([]),
            'offsets beyond the end': _safetensors(dict(w=dict(dtype='F32', shape=[9], data_offsets=[0, 36]))),
            'overlapping tensors': _safetensors({k: dict(dtype='F32', shape=[1], data_offsets=[0, 4]) for k in 'ab'}, bytes(4)),
            'negative offsets': _safetensors(dict(w=dict(dtype='F32', shape=[1], data_offsets=[-4, 0])), bytes(4)),
            'shape that overflows': _safetensors(dict(w=dict(dtype='F32', shape=[2 ** 62, 8], data_offsets=[0, 4])), bytes(4)),
            'unknown dtype': _safetensors(dict(w=dict(dtype='X9', shape=[1], data_offsets=[0, 4])), bytes(4)),
            'metadata that is no text': _safetensors(dict(__metadata__=dict(a=1))), 'deep header': _safetensors(b'[' * 10 ** 5)}.items():
        add(f'safetensors: {name}', lambda path, content=content: path.write_bytes(content), 'refused', '.safetensors')
    for name, content in {'empty': b'', 'HTML': b'<html>404</html>', 'zeros': bytes(1000), 'PNG': b'\x89PNG\r\n\x1a\n' + bytes(50),
                          'cut zip': b'PK\x03\x04' + bytes(100), 'ELF': b'\x7fELF' + bytes(100), 'old tar': b'x' * 257 + b'ustar' + bytes(300)}.items():
        add(f'file: {name}', lambda path, content=content: path.write_bytes(content), 'refused')
    add('file: a folder', lambda path: path.mkdir(), 'refused')
    add('file: a pipe', lambda path: os.mkfifo(path), 'refused')
    add('file: an endless device', lambda path: path.symlink_to('/dev/zero'), 'refused')
    add('file: a link to itself', lambda path: path.symlink_to(path), 'refused')
    return found


def training_states():
    """Return name -> a change of a genuine checkpoint, for resuming from it; each is to be refused by a sentence."""
    return {
        'meta None': dict(meta=None), 'iteration as text': dict(meta=dict(iter='3', epoch=0)), 'no iteration': dict(meta=dict(epoch=0)),
        'negative iteration': dict(meta=dict(iter=-1, epoch=0)), 'seed of text': dict(meta=dict(iter=1, epoch=0, seed='x')),
        'record that is a number': dict(meta=dict(iter=1, epoch=0, restorekit=3)), 'no message hub': dict(message_hub=None),
        'hub without parts': dict(message_hub={}), 'hub of lists': dict(message_hub=dict(log_scalars=[], runtime_info=[], resumed_keys=[])),
        'best score as text': dict(message_hub=dict(log_scalars={}, runtime_info=dict(best_score='x'), resumed_keys={})),
        'optimizer None': dict(optimizer=None), 'optimizer without groups': dict(optimizer=dict(state={})),
        'groups that are no dicts': dict(optimizer=dict(state={}, param_groups=[3])), 'too many groups': dict(optimizer=dict(state={}, param_groups=[{}] * 9)),
        'schedules as text': dict(param_schedulers='x'), 'a schedule that replaces a method': dict(param_schedulers=[dict(step=3)]),
        'int keys of weights': dict(state_dict={1: torch.ones(1)}), 'other weights': dict(state_dict=dict(w=torch.ones(1))),
        'weights as a list': dict(state_dict=[1]), 'gradients as text': dict(gradients='x'),
        'sparse weights': dict(state_dict=dict(w=torch.eye(3).to_sparse())),
        **{f'record of a config that is {name}': dict(meta=dict(iter=1, epoch=0, restorekit=dict(config=text))) for name, text in {
            'deep': '[' * 10 ** 5, 'a list': '[1]', 'half': '{"a"', 'of numbers': '{"optim_wrapper": 3}', 'of lists': '{"optim_wrapper": [1], "train_cfg": [2]}',
            'without an end': '{"train_cfg": {"max_iters": 1e999}}'}.items()}}

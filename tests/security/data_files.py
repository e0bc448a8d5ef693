"""Hostile LMDBs and lists of files, each a mechanism of its own, with its expected outcome."""

# ruff: noqa: E501 (tables of attacks read better a line each)

import functools
import json
import os

import numpy as np


def lmdbs(folder, png):
    """Make one after the other in ``folder``; yields its path, exit status of synthesize and words of its output."""
    import lmdb
    for number, (name, put, *expected) in enumerate(_lmdbs(png, lmdb)):
        path = folder / f'in{number}.lmdb'
        put(path)
        yield name, path, *expected


def _lmdbs(png, lmdb):

    def make(items, **files):
        def put(path):
            environment = lmdb.open(str(path), map_size=2 ** 28)
            with environment.begin(write=True) as transaction:
                for key, value in items.items():
                    transaction.put(key, value)
            environment.close()
            (path / 'lock.mdb').unlink()
            for name, content in files.items():
                (path / f'{name}.txt').write_bytes(content)
        return put

    def damaged(change):
        def put(path):
            make({f'{i:03}.png'.encode(): png for i in range(40)})(path)
            (path / 'data.mdb').write_bytes(change((path / 'data.mdb').read_bytes()))
        return put

    def other(name, function):
        def put(path):
            make({b'a.png': png})(path)
            (path / name).unlink(missing_ok=True)
            function(path / name)
        return put

    def noise(data):
        found = bytearray(data)
        for at in np.random.default_rng(0).integers(8192, len(data), 300):
            found[at] = 255
        return bytes(found)

    for name, key in dict(up=b'../../victim.png', absolute=b'/etc/x.png', nul=b'a\0b.png', escape=b'a\x1b[31m\x9b.png',
                          bytes=b'\xff\xfe.png', device=b'../../../../dev/null.png', drive=b'C:\\x.png').items():
        yield name, make({key: png, b'a.png': png}), 0, '2 hazy images'
    yield 'huge value', make({b'a.png': b'\x89PNG\r\n\x1a\n' + bytes(2 ** 26)}), 1, 'a.png'
    yield 'empty value', make({b'a.png': b''}), 1, 'is empty (0 bytes)'
    yield 'no keys', make({}), 1, 'no images in'
    yield 'keys that are not there', make({b'a.png': png}, keys=b'nope.png\n../../victim.png\n/etc/passwd.png\n\0.png\n'), 1, 'has no file /etc/passwd.png'
    yield 'a key of 600 bytes', make({b'a.png': png}, keys=b'x' * 600 + b'.png\n'), 1, 'has no file xxx'
    yield 'one endless key', make({b'a.png': png}, keys=b'a' * 2 ** 22), 1, 'no images in'
    devices = dict(folder=(os.mkdir, 'a folder'), fifo=(os.mkfifo, 'a FIFO'), zero=(functools.partial(os.symlink, '/dev/zero'), 'a device'))
    for name, (function, words) in devices.items():
        yield f'keys {name}', other('keys.txt', function), 1, f'it is {words}, not a regular file'
        yield f'data {name}', other('data.mdb', function), 1, 'it has no data.mdb'
    for name, change, words in (
            ('truncated', lambda data: data[:8192], 'is truncated'), ('half', lambda data: data[:len(data) // 2], 'is truncated'),
            ('empty', lambda data: b'', 'cannot be opened'), ('text', lambda data: b'hello', 'cannot be opened'),
            ('page', lambda data: data[:4096], 'cannot be opened'), ('noise', noise, ''),
            ('zeros', lambda data: data[:8192] + bytes(len(data) - 8192), 'cannot be read'),
            ('ones', lambda data: data[:8192] + b'\xff' * (len(data) - 8192), 'cannot be read')):
        yield name, damaged(change), 1, words
    yield 'a file', lambda path: path.write_bytes(b'x'), 1, 'no LMDB'


def lists():
    """Return name -> (suffix, content, words of what check-data says of it)."""
    found = {'fine': ('.txt', b'a.png a.png\n', '(the same file)'), 'binary': ('.txt', np.random.default_rng(0).bytes(5000), 'is not UTF-8 text'),
             'cut UTF-16': ('.txt', b'\xff\xfea', 'is not UTF-8 text'), 'nothing': ('.txt', b'', 'names no image'),
             'comments': ('.txt', b'#x\n' * 10, 'names no image'), 'tabs': ('.txt', b'\t\t\t\n', 'names no image'),
             'one line a million times': ('.txt', b'a.png a.png\n' * 10 ** 6, 'are the same'),
             'a million columns': ('.txt', b'a.png ' * 10 ** 6, '1000000 names'),
             'no JSON': ('.jsonl', b'[' * 10 ** 5, 'is not JSON'), 'no object': ('.jsonl', b'[1, 2]\n', 'must be an object'),
             'a number': ('.jsonl', b'{"input": 1, "gt": 2}\n', 'a name of a file is 1'), 'no header': ('.csv', b'x,y\na,b\n', "has no column 'input'"),
             'a cell without end': ('.csv', b'input,gt\n"' + b'a' * 10 ** 6, 'is not CSV'), 'ragged': ('.csv', b'input,gt\na.png\n', '1 cells under 2'),
             'endless line': ('.txt', b'a' * 2 ** 24, '16777216 characters')}
    names = dict(absolute=('/etc/passwd', 'is an absolute path'), drive=('C:\\a.png', 'is an absolute path'),
                 up=('../outside.png', 'leads out of the folder'), deep=('a/../../outside.png', 'leads out of the folder'), nul=('a\0.png', 'NUL character'),
                 long=('x' * 5000 + '.png', '5004 characters'), escape=('a\x1b[2J\x9b.png', ''), device=('/dev/zero', 'is an absolute path'),
                 format=('%s%n{0}', ''), home=('~/a.png', ''), folder=('.', ''), url=('http://x.org/a.png', ''))
    for name, (text, words) in names.items():
        found[f'{name}.txt'] = '.txt', f'{text} {text}\n'.encode(), words
        found[f'{name}.csv'] = '.csv', f'input,gt\n{text},{text}\n'.encode(), words
        found[f'{name}.jsonl'] = '.jsonl', json.dumps(dict(input=text, gt=text)).encode(), words
    return found

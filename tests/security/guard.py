"""An audit hook that notes what a command must not do: write or remove outside its outputs, connect, start programs."""

import os
import sys
from contextlib import contextmanager

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ('os.remove', 'os.rename', 'os.mkdir', 'os.rmdir', 'os.link', 'os.symlink', 'os.truncate', 'os.chmod',
            'os.chown', 'shutil.rmtree', 'shutil.move', 'shutil.copyfile')
_NAMES = ('os.remove', 'os.rename', 'os.rmdir', 'os.mkdir', 'os.link', 'os.symlink')
_PROGRAMS = ('subprocess.Popen', 'os.system', 'os.exec', 'os.posix_spawn', 'os.spawn', 'os.startfile', 'pty.spawn')
_HERE = (None, 'localhost', '127.0.0.1', '::1', b'localhost')
_state = {'folders': None, 'found': []}


def _outside(path, follow=True):
    if not isinstance(path, (str, bytes, os.PathLike)):
        return False
    path = os.fsdecode(path)
    path = os.path.realpath(path) if follow else \
        os.path.join(os.path.realpath(os.path.dirname(path) or '.'), os.path.basename(path))
    return path != os.devnull and not any(path == folder or path.startswith(folder + os.sep)
                                          for folder in _state['folders'])


def _hook(event, args):
    if _state['folders'] is None:
        return
    if event == 'open':
        path, mode, flags = args
        if (isinstance(flags, int) and flags & _WRITES or isinstance(mode, str) and set(mode) & set('wax+')) \
                and _outside(path):
            _state['found'].append((event, path))
    elif event in _CHANGES:
        if event in ('os.remove', 'os.rmdir', 'os.mkdir') and args[-1] >= 0:  # relative to an open folder
            args = (os.path.join(os.readlink(f'/proc/self/fd/{args[-1]}'), os.fsdecode(args[0])),)
        follow = event not in _NAMES  # these act on a name, not on what a link of that name leads to
        paths = [path for path in args[:2]
                 if isinstance(path, (str, bytes, os.PathLike)) and _outside(path, follow)]
        if paths and event not in ('os.link', 'os.symlink', 'shutil.copyfile') or paths and _outside(args[1], follow):
            _state['found'].append((event, paths))
    elif event in ('socket.connect', 'socket.bind', 'socket.sendto'):
        address = args[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(('127.', '::1', 'localhost')):
            _state['found'].append((event, address))
    elif event in _PROGRAMS or event == 'socket.getaddrinfo' and args[0] not in _HERE:
        _state['found'].append((event, args[0]))


sys.addaudithook(_hook)


@contextmanager
def watched(*folders):
    """While it lasts, only ``folders`` may be written to; fails at the end with all that was noted."""
    _state['folders'], _state['found'] = [os.path.realpath(folder) for folder in folders], []
    try:
        yield
    finally:
        _state['folders'] = None
    assert not _state['found'], _state['found']

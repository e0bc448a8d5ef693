"""What a command shows after an error: a sentence for a mistake of the user, a traceback for a bug."""

import contextlib
import errno
import io
import logging
import os
import re
import sys

import pytest
from tiny import config, scenes

from restorekit.cli.common import run_guarded, user_sentence
from restorekit.cli.main import main
from restorekit.config import RestoreConfig
from restorekit.datasets import ProceduralScenes
from restorekit.messages import (
    ExistingFileError,
    InputError,
    InputTypeError,
    MissingDependencyError,
    MissingFileError,
    MissingKeyError,
    UnavailableError,
    UnknownNameError,
    WriteError,
)
from restorekit.registry import DATASETS


@DATASETS.register_module()
class PlantedBugScenes(ProceduralScenes):
    """Scenes whose second image hits a bug."""

    def load(self, index, seed):
        return super().load(index, seed) if index != 1 else {}['bbox']


@DATASETS.register_module()
class PlantedMistakeScenes(ProceduralScenes):
    """Scenes whose second image meets a mistake of the user."""

    def load(self, index, seed):
        if index == 1:
            raise MissingKeyError('the list names no box; write one')
        return super().load(index, seed)


def train(tmp_path, kind, workers):
    cfg = config('unused', workers=workers, iters=6)
    cfg['train_dataloader']['dataset'] = scenes(type=kind)
    cfg.pop('work_dir')
    RestoreConfig(cfg).dump(str(tmp_path / 'planted.py'))
    return main(['train', str(tmp_path / 'planted.py'), '--work-dir', str(tmp_path / 'run')])


@pytest.mark.parametrize('workers', [0, 1])
def test_a_bug_in_a_component_shows_its_traceback(workers, tmp_path, capsys):
    assert train(tmp_path, 'PlantedBugScenes', workers) == 1
    text = capsys.readouterr().err
    assert text.startswith('Traceback' if not workers else 'restorekit.engine.loader.WorkerTraceback')
    assert "else {}['bbox']" in text and "KeyError: 'bbox'" in text  # the line of the bug itself
    assert 'This is a bug, not a mistake of yours' in text and 'error: bbox' not in text


@pytest.mark.parametrize('workers', [0, 1])
def test_a_mistake_met_in_a_component_shows_as_its_sentence(workers, tmp_path, capsys):
    assert train(tmp_path, 'PlantedMistakeScenes', workers) == 1
    text = capsys.readouterr().err
    assert text == '\nerror: the list names no box; write one\n(RESTOREKIT_TRACEBACK=1 shows where)\n'


@pytest.mark.parametrize('kind, builtin', [
    (InputError, ValueError), (InputTypeError, TypeError), (MissingKeyError, KeyError), (UnknownNameError, KeyError),
    (UnavailableError, RuntimeError), (MissingFileError, FileNotFoundError), (ExistingFileError, FileExistsError),
    (WriteError, OSError), (MissingDependencyError, ImportError)])
def test_each_error_of_a_user_is_the_builtin_that_python_users_catch(kind, builtin):
    with pytest.raises(builtin) as caught:
        raise kind("say 'what' to do")
    assert str(caught.value) == user_sentence(caught.value) == "say 'what' to do"


@pytest.mark.parametrize('error', [
    KeyError('bbox'), ValueError('x'), RuntimeError('x'), OSError('x'), FileNotFoundError('x'), ImportError('x')])
def test_what_nobody_wrote_for_a_user_is_a_bug(error):
    assert user_sentence(error) is None


@pytest.mark.parametrize('error, sentence', [
    (FileNotFoundError(errno.ENOENT, 'No such file or directory', 'a.png'), 'a.png: No such file or directory'),
    (PermissionError(errno.EACCES, 'Permission denied', 'b'), 'b: Permission denied'),
    (OSError(errno.ENOSPC, 'No space left on device'), 'No space left on device'),
    (WriteError(errno.EACCES, 'the work dir w cannot be written to'), 'the work dir w cannot be written to')])
def test_what_the_system_says_of_files_and_disks_is_a_sentence(error, sentence):
    assert user_sentence(error) == sentence


def test_little_memory_is_no_bug():
    assert 'smaller batches or images' in user_sentence(MemoryError())


def test_the_status_of_a_command_is_passed_on():
    assert run_guarded(lambda args: args, 3) == 3 and run_guarded(lambda args: None, 3) == 0


def test_what_a_file_puts_into_a_sentence_is_cut(capsys):
    def fail(_):
        raise InputError('x' * 10 ** 6 + '\n' + 'name\n' * 10 ** 4)
    assert run_guarded(fail, None) == 1
    text = capsys.readouterr().err
    assert len(text) < 4000 and 'xxx ...' in text and '... and 9901 lines more' in text


def test_a_link_to_itself_and_a_nul_are_mistakes(tmp_path):
    (tmp_path / 'loop').symlink_to('loop')
    for path, said in ((tmp_path / 'loop', 'loop|Too many levels'), ('a\0b', 'a path holds a NUL character')):
        with pytest.raises((RuntimeError, OSError, ValueError)) as caught:
            os.stat(path) if isinstance(path, str) else path.resolve(strict=True)
        assert re.search(said, user_sentence(caught.value))
    assert user_sentence(RuntimeError('shape')) is None and user_sentence(ValueError('shape')) is None


@pytest.mark.parametrize('error, sentence', [
    (OSError(errno.EMFILE, 'Too many open files'), 'Too many open files'),
    (OSError(errno.EBADF, 'Bad file descriptor'), 'Bad file descriptor'),
    (FileNotFoundError(errno.ENOENT, 'No such file or directory'), 'the working directory is not there any more'),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), 'too little memory'),
    (OSError(errno.EINVAL, 'Invalid argument'), None)])
def test_what_the_system_says_without_a_file(error, sentence):
    assert sentence in user_sentence(error) if sentence else user_sentence(error) is None


@pytest.mark.parametrize('stdout, stderr', [(None, None), ('/dev/full', '/dev/full'), ('pipe', 'pipe')])
def test_streams_that_are_closed_full_or_left_change_no_status(monkeypatch, stdout, stderr):
    def stream(name):
        if name == 'pipe':
            inner, outer = os.pipe()
            os.close(inner)
            return os.fdopen(outer, 'w')
        return name and open(name, 'w')
    for name, kind in (('stdout', stdout), ('stderr', stderr)):
        monkeypatch.setattr(f'sys.{name}', stream(kind))
    assert main(['models', 'aod']) == (0 if stdout is None else 1)
    assert main(['restore', 'no such file', '-o', 'out']) == 1
    for each in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError):
            each.close()


def test_a_terminal_that_lacks_letters_loses_no_line(monkeypatch):
    out = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(out, encoding='ascii', write_through=True))
    assert main(['models', 'haze']) == 0
    handler = logging.StreamHandler(sys.stdout)  # as MMEngine's
    handler.emit(logging.LogRecord('a', 20, '', 0, 'nächtlich', (), None))
    assert out.getvalue().endswith(b'n\\xe4chtlich\n')


def test_names_of_files_that_can_only_be_ascii_are_said(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'getfilesystemencoding', lambda: 'ascii')
    assert main(['models']) == 1
    assert 'set PYTHONUTF8=1' in capsys.readouterr().err


def test_a_package_that_is_there_but_broken_is_not_said_to_be_missing_only():
    def said(cause):
        try:
            raise MissingDependencyError('films need PyAV: pip install av') from cause
        except MissingDependencyError as error:
            return user_sentence(error)
    assert said(ModuleNotFoundError("No module named 'av'")) == 'films need PyAV: pip install av'
    assert said(ImportError('libx264.so: no such file')).endswith('cannot be imported: libx264.so: no such file)')

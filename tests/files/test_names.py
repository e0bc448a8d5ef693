import os
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.files.names import MAX_BYTES, file_name, output_name, terminal_text

HOSTILE = [
    '', '.', '..', '/', '//', '../../x', '/etc/passwd', 'a/../../b', 'C:\\Windows\\x', 'C:x', 'c:/x', '\\\\host\\x',
    'a\0b', '\0', 'x' * 255, 'ü' * 200, '\udcff', '\udcff' * 255, 'a\x1b[31mb', '\x1b]0;title\x07', 'a\nb', 'a\rb',
    '\x85', '\x9b31m', 'CON', 'con.tar', 'NUL', 'COM1', 'lpt9.x', 'AUX .b', 'a.', 'a ', '...', ' ', '\ud800x']


@pytest.mark.parametrize(('text', 'name'), [
    ('day/fog', 'day_fog'), ('1400_3', '1400_3'), ('sub/ünï x', 'sub_ünï x'), ('a.b', 'a.b'), ('..', '__'), ('', '_'),
    ('C:\\x', 'C__x'), ('CON', '_CON'), ('nul.png', '_nul.png'), ('conrad', 'conrad'), ('a. ', 'a__'),
    ('\udcff', '\udcff'), ('a\x1bb', 'a_b~')])
def test_one_name(text, name):
    found = file_name(text)
    assert found == name or (name.endswith('~') and found.startswith(name) and len(found) == len(name) + 8)


def holds(name, suffix, room):
    assert name.endswith(suffix)
    parts = name.split('/')
    assert len(os.fsencode(parts[-1])) <= MAX_BYTES - room
    for part in parts:
        assert part not in ('', '.', '..') and not any(ord(letter) < 32 or letter in '\\\x7f\x9b' for letter in part)
        assert len(os.fsencode(part)) <= MAX_BYTES and part[-1] not in '. '
        assert not (part[0] in string.ascii_letters and part[1:2] == ':')
        assert part.partition('.')[0].rstrip().upper() not in ('CON', 'NUL', 'AUX', 'PRN', 'COM1', 'LPT9')


@pytest.mark.parametrize('name', HOSTILE, ids=ascii)
@pytest.mark.parametrize('suffix', ['.png', '_12.png'])
def test_hostile_names_become_paths_below_the_folder(name, suffix):
    for room in (0, 20):
        holds(output_name(name, suffix, room), suffix, room)


@given(st.text(st.sampled_from('./\\:\0\x1b\n ~aé\udc80\ud800' + string.ascii_uppercase[:4]), max_size=300))
def test_any_text_becomes_a_path_below_the_folder(text):
    holds(output_name(text, '.png'), '.png', 0)


def test_what_is_written_is_what_the_name_says(tmp_path):
    for number, name in enumerate(HOSTILE):
        path = tmp_path / output_name(name, '.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
        assert path.resolve().is_relative_to(tmp_path)


def test_names_that_lost_something_stay_apart():
    names = ['x' * 300, 'x' * 301, 'a\nb', 'a\rb', 'a_b', 'a\x1bb', 'ü' * 200, 'ü' * 201]
    assert len({output_name(name, '.png') for name in names}) == len(names)


def test_a_terminal_gets_no_escape():
    assert terminal_text('a\x1b[31m\x9b\x07\udcff\u202eb\n') == 'a\\x1b[31m\\x9b\\x07\\xff\\u202eb\\n'
    assert terminal_text('one\ntwo\t\x1b', lines=True) == 'one\ntwo\t\\x1b'
    assert terminal_text('ünï 霧.png') == 'ünï 霧.png' and terminal_text('\ud800') == '\\ud800'
    assert terminal_text(3) == '3'

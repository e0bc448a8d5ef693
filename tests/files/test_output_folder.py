import json

import pytest
from filelock import FileLock
from files import DEAD_TEMPORARY

from restorekit.files.lock import FolderInUseError
from restorekit.files.output_folder import claim_folder, path_inside
from restorekit.messages import ExistingFileError


def claim(*args):
    """Claim a folder and leave it at once; returns whether it is continued."""
    with claim_folder(*args) as continued:
        return continued


def test_a_folder_is_claimed_once_and_continued(tmp_path):
    out = tmp_path / 'new/out'
    assert claim(out, 'made.json', dict(size=3, names=('a', 'b')), 'patches') is False
    assert json.loads((out / 'made.json').read_text()) == dict(size=3, names=['a', 'b'])
    (out / 'sub').mkdir()
    (out / 'sub' / DEAD_TEMPORARY).write_bytes(b'half')
    assert claim(out, 'made.json', dict(size=3, names=['a', 'b']), 'patches') is True
    assert not any((out / 'sub').iterdir())


def test_a_folder_of_something_else_is_refused(tmp_path):
    claim(tmp_path / 'out', 'made.json', dict(size=3, inner=dict(a=1)), 'patches')
    for settings, words in ((dict(size=4, inner=dict(a=1)), 'patches made with other settings .size was 3, is 4'),
                            (dict(size=3, inner=dict(a=2)), 'settings .inner; see'),
                            (dict(size=3), 'settings .inner; see')):
        with pytest.raises(ExistingFileError, match=words):
            claim(tmp_path / 'out', 'made.json', settings, 'patches')
    with pytest.raises(ExistingFileError, match='is not empty and has no other.json'):
        claim(tmp_path / 'out', 'other.json', {}, 'patches')
    with pytest.raises(ExistingFileError, match='is a file'):
        claim(tmp_path / 'out/made.json', 'made.json', {}, 'patches')
    for text in ('no json', '[1]', '[' * 100000):
        (tmp_path / 'out/made.json').write_text(text)
        with pytest.raises(ExistingFileError, match='cannot be read as the settings'):
            claim(tmp_path / 'out', 'made.json', {}, 'patches')


def test_a_killed_claim_is_taken_over(tmp_path):
    (tmp_path / DEAD_TEMPORARY).write_bytes(b'half')
    assert claim(tmp_path, 'made.json', {}, 'patches') is False
    assert [path.name for path in tmp_path.iterdir()] == ['made.json']


def test_links_out_of_the_folder_are_refused(tmp_path):
    out = tmp_path / 'out'
    (out / 'real').mkdir(parents=True)
    (out / 'inner').symlink_to(out / 'real')
    (out / 'outer').symlink_to(tmp_path)
    assert path_inside(out, 'inner/a.png') == out / 'inner/a.png' and path_inside(out, 'new/b.png') == out / 'new/b.png'
    with pytest.raises(ExistingFileError, match='outside the output folder'):
        path_inside(out, 'outer/a.png')


def test_two_processes_do_not_write_into_one_folder(tmp_path):
    out = tmp_path / 'out'
    claim(out, 'made.json', {}, 'patches')
    with FileLock(out / '.lock'), pytest.raises(FolderInUseError, match='is in use'):
        claim(out, 'made.json', {}, 'patches')
    assert claim(out, 'made.json', {}, 'patches') is True
    assert sorted(path.name for path in out.iterdir()) == ['made.json']


def test_a_lock_that_a_killed_run_left_is_no_foreign_file(tmp_path):
    (tmp_path / '.lock').touch()
    (tmp_path / '.lock-owner').write_text('{}')
    assert claim(tmp_path, 'made.json', {}, 'patches') is False

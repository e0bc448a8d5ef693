import json

import pytest
from files import DEAD_TEMPORARY

from restorekit.files.output_folder import claim_folder, path_inside
from restorekit.messages import ExistingFileError


def test_a_folder_is_claimed_once_and_continued(tmp_path):
    out = tmp_path / 'new/out'
    assert claim_folder(out, 'made.json', dict(size=3, names=('a', 'b')), 'patches') is False
    assert json.loads((out / 'made.json').read_text()) == dict(size=3, names=['a', 'b'])
    (out / 'sub').mkdir()
    (out / 'sub' / DEAD_TEMPORARY).write_bytes(b'half')
    assert claim_folder(out, 'made.json', dict(size=3, names=['a', 'b']), 'patches') is True
    assert not any((out / 'sub').iterdir())


def test_a_folder_of_something_else_is_refused(tmp_path):
    claim_folder(tmp_path / 'out', 'made.json', dict(size=3, inner=dict(a=1)), 'patches')
    for settings, words in ((dict(size=4, inner=dict(a=1)), 'patches made with other settings .size was 3, is 4'),
                            (dict(size=3, inner=dict(a=2)), 'settings .inner; see'),
                            (dict(size=3), 'settings .inner; see')):
        with pytest.raises(ExistingFileError, match=words):
            claim_folder(tmp_path / 'out', 'made.json', settings, 'patches')
    with pytest.raises(ExistingFileError, match='is not empty and has no other.json'):
        claim_folder(tmp_path / 'out', 'other.json', {}, 'patches')
    with pytest.raises(ExistingFileError, match='is a file'):
        claim_folder(tmp_path / 'out/made.json', 'made.json', {}, 'patches')
    for text in ('no json', '[1]', '[' * 100000):
        (tmp_path / 'out/made.json').write_text(text)
        with pytest.raises(ExistingFileError, match='cannot be read as the settings'):
            claim_folder(tmp_path / 'out', 'made.json', {}, 'patches')


def test_a_killed_claim_is_taken_over(tmp_path):
    (tmp_path / DEAD_TEMPORARY).write_bytes(b'half')
    assert claim_folder(tmp_path, 'made.json', {}, 'patches') is False
    assert [path.name for path in tmp_path.iterdir()] == ['made.json']


def test_links_out_of_the_folder_are_refused(tmp_path):
    out = tmp_path / 'out'
    (out / 'real').mkdir(parents=True)
    (out / 'inner').symlink_to(out / 'real')
    (out / 'outer').symlink_to(tmp_path)
    assert path_inside(out, 'inner/a.png') == out / 'inner/a.png' and path_inside(out, 'new/b.png') == out / 'new/b.png'
    with pytest.raises(ExistingFileError, match='outside the output folder'):
        path_inside(out, 'outer/a.png')

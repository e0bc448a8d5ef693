import json

import pytest

from restorekit.evaluation.journal import (
    Extremes,
    ReportMismatchError,
    append_rows,
    close_report,
    open_report,
    rank_of,
)
from restorekit.evaluation.report_reader import ReportError


def row(index, value, domain='day'):
    return dict(index=index, domain=domain, image=f'{index}.png', broken=False, values=[[value, None]])


def test_rows_of_all_processes_are_found_again(tmp_path):
    identity = dict(checkpoint='a' * 64)
    assert open_report(tmp_path, identity) == (None, [])
    append_rows(tmp_path, 0, [row(0, 1.5), row(2, 2 / 3)])
    append_rows(tmp_path, 1, [row(1, float('inf'))])
    append_rows(tmp_path, 0, [row(4, 1e-300)])
    with (tmp_path / '.progress' / 'rank_1.jsonl').open('a') as file:
        file.write('{"index": 3, "val')
    expected = [row(0, 1.5), row(1, float('inf')), row(2, 2 / 3), row(4, 1e-300)]
    assert open_report(tmp_path, identity) == (None, expected)
    append_rows(tmp_path, 1, [row(3, 0.0)])  # not behind the torn line
    assert open_report(tmp_path, identity) == (None, [*expected[:3], row(3, 0.0), expected[3]])
    with (tmp_path / '.progress' / 'rank_1.jsonl').open('a') as file:  # edited
        file.write('{"index": "5"}\n[[[[\n' + json.dumps(dict(row(6, 1.0), values=[1])) + '\n')
    assert len(open_report(tmp_path, identity)[1]) == 5
    assert open_report(tmp_path, identity, overwrite=True) == (None, [])
    close_report(tmp_path)
    assert not (tmp_path / '.lock').exists()


def test_a_damaged_finished_report_is_named(tmp_path):
    (tmp_path / 'summary.json').write_text(json.dumps(dict(identity=dict(config='x'), sets=[])))
    with pytest.raises(ReportError, match=r'summary.json is not the summary of a report: definitions is missing'):
        open_report(tmp_path, dict(config='x'))


def test_a_finished_report_is_returned(tmp_path):
    open_report(tmp_path, dict(config='x'))
    summary = dict(identity=dict(config='x'), sets={}, definitions={}, provenance=dict(versions={}))
    (tmp_path / 'summary.json').write_text(json.dumps(summary))
    assert open_report(tmp_path, dict(config='x')) == (summary, [])
    assert not (tmp_path / '.progress').exists()


def test_what_differs_is_named(tmp_path):
    open_report(tmp_path, {'checkpoint': 'a' * 64, 'metrics': 'PSNR@rgb', 'list of day': '1'})
    with pytest.raises(ReportMismatchError) as error:
        open_report(tmp_path, {'checkpoint': 'b' * 64, 'metrics': 'PSNR@rgb', 'list of night': '1'})
    assert str(error.value) == (
        f'{tmp_path} holds a report of another test: checkpoint is aaaaaaaaaaaa... there and bbbbbbbbbbbb... here; '
        'list of day is 1 there and absent here; list of night is absent there and 1 here. Choose another --out, or '
        '--overwrite')
    for text in ('[]', 'no json', '{"metrics": {}}'):
        (tmp_path / 'summary.json').write_text(text)
        with pytest.raises(ReportMismatchError, match=r'summary.json that is not a report of this version'):
            open_report(tmp_path, dict(config='x'))


def test_strips_are_bounded_and_survive(tmp_path):
    values = [float(v) for v in (5, 3, 9, 1, 7, 7, 2, 8, 6, 4, 0, 11, 10, 12)]
    rows = [row(i, value) for i, value in enumerate(values)] + [row(20, 1.0, 'night'), row(21, None)]
    made = []

    def offer(extremes, one):
        extremes.offer(one, lambda: made.append(one['index']) or str(one['index']).encode())

    whole = Extremes([True], tmp_path / 'whole')
    for one in rows:
        offer(whole, one)
    order = sorted(range(len(values)), key=lambda i: (values[i], i))
    assert sorted(whole.strips) == sorted(order[:5] + order[-5:]) + [20]
    assert whole.strips[20] == b'20' and len(list((tmp_path / 'whole').iterdir())) == 11

    cut = Extremes([True], tmp_path / 'cut')
    for one in rows[:9]:
        offer(cut, one)
    again = Extremes([True], tmp_path / 'cut')
    again.restore(rows[:9])
    made.clear()
    for one in rows[9:]:
        offer(again, one)
    assert again.strips == whole.strips and min(made) >= 9
    names = [sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ('cut', 'whole')]
    assert names[0] == names[1]


def test_an_image_is_ranked_by_the_first_metric_it_has():
    assert rank_of(dict(values=[[None, None], [2.0, 1.0]]), [True, False]) == (1, -2.0)
    assert rank_of(dict(values=[[3.0, 1.0], [2.0, 1.0]]), [True, False]) == (0, 3.0)
    assert rank_of(dict(values=[[float('nan'), None]]), [True]) == (0, -float('inf'))
    assert rank_of(dict(values=[[None, None]]), [True]) is None

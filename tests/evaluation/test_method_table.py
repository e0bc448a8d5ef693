import csv
import io
import json

import numpy as np
import pytest
from reports import cells, report

from restorekit.cli.main import main
from restorekit.evaluation.comparison import NotComparableError
from restorekit.evaluation.method_table import format_table, tabulate_reports
from restorekit.messages import InputError
from restorekit.tasks.compare import compare


@pytest.fixture
def three(tmp_path):
    """Reports of aod, and of ours with two seeds, on two sets."""
    base = [20.0, 22.0, 24.0, 26.0]
    numbers = dict(aod=(0.0, 1.0), ours_0=(2.0, 0.5), ours_1=(3.0, 0.25))
    return {name: report(tmp_path / name, dict(day=[x + day for x in base], night=[x + night for x in base]))
            for name, (day, night) in numbers.items()}


def test_methods_by_sets_with_seeds_together(three):
    found = tabulate_reports(dict(aod=[three['aod']], ours=[three['ours_0'], three['ours_1']]))
    day, night = found['rows']
    assert (day['set'], day['label'], day['n']) == ('day', 'PSNR@rgb', 4)
    assert day['means'] == pytest.approx(dict(aod=23.0, ours=25.5))
    assert day['sds']['aod'] is None and day['sds']['ours'] == pytest.approx(np.std([25.0, 26.0], ddof=1))
    assert (day['best'], day['second']) == (['ours'], ['aod'])
    assert (night['best'], night['second']) == (['aod'], ['ours'])
    assert day['p'] == night['p'] == 2 / 2**4 and day['p_holm'] == 2 * day['p']


def test_the_table_in_every_format(three):
    found = tabulate_reports({'aod_net': [three['aod']], 'ours': [three['ours_0'], three['ours_1']]})
    assert cells(format_table(found)) == [['method', 'day PSNR@rgb ↑', 'night PSNR@rgb ↑'],
                                          ['aod_net', '<u>23.00</u>', '**24.00**'],
                                          ['ours', '**25.50** ± 0.71', '<u>23.38</u> ± 0.18']]
    latex = format_table(found, 'latex').splitlines()
    assert latex[0] == r'\begin{tabular}{lrr}' and latex[-1] == r'\end{tabular}'
    line = [cell.strip() for cell in latex[5].removesuffix(r' \\').split('&')]
    assert line == ['ours', r'\textbf{25.50} $\pm$ 0.71', r'\underline{23.38} $\pm$ 0.18']
    assert latex[4].startswith(r'aod\_net &') and r'PSNR@rgb $\uparrow$' in latex[2]
    header, *lines = csv.reader(io.StringIO(format_table(found, 'csv')))
    assert header == ['method', 'day PSNR@rgb', 'day PSNR@rgb sd', 'night PSNR@rgb', 'night PSNR@rgb sd']
    assert lines[0] == ['aod_net', '23.0', '', '24.0', ''] and float(lines[1][1]) == 25.5
    with pytest.raises(InputError, match="must be one of 'markdown', 'latex', 'csv', but got 'html'"):
        format_table(found, 'html')


def test_smaller_can_be_better_ties_share_and_what_failed_has_no_mean(tmp_path):
    values = dict(a=[0.5, 0.5], b=[0.25, 0.75], c=[0.6, 0.6], d=[float('nan'), 0.1])
    reports = {name: [report(tmp_path / name, dict(day=found), label='MAE@rgb', higher=False)]
               for name, found in values.items()}
    row = tabulate_reports(reports)['rows'][0]
    assert row['best'] == ['a', 'b'] and row['second'] == []  # two are first, so nobody is second
    assert row['means']['d'] is None and 'MAE@rgb ↓' in format_table(dict(methods=list(values), rows=[row]))
    del reports['b']
    row = tabulate_reports(reports)['rows'][0]
    assert row['best'] == ['a'] and row['second'] == ['c']


def test_names_cannot_break_a_table(tmp_path):
    reports = {name: [report(tmp_path / str(i), {'day|_x_': [float(i), 1.0]})]
               for i, name in enumerate(('=1+1', 'a|b & 50% $x$ \\', 'c'))}
    found = tabulate_reports(reports)
    assert r'| a\|b \& 50% $x$ \\' in format_table(found) and r'day\|\_x\_ PSNR@rgb' in format_table(found)
    assert r'a|b \& 50\% \$x\$ \textbackslash{}' in format_table(found, 'latex')
    assert format_table(found, 'csv').splitlines()[1].startswith("'=1+1,")


def test_what_is_not_comparable_is_refused_with_both_names(tmp_path, three):
    other = report(tmp_path / 'other', dict(day=[1.0, 2.0]), label='PSNR@y-matlab')
    with pytest.raises(NotComparableError, match=r'/aod \(A\) and .*/other \(B\) cannot be compared. .*colour is'):
        tabulate_reports(dict(aod=[three['aod']], ours=[three['ours_0']], other=[other]))
    alone = report(tmp_path / 'alone', dict(day=[1.0, 2.0, 3.0, 4.0]))
    found = tabulate_reports(dict(aod=[three['aod']], ours=[three['ours_0']], alone=[alone]))
    assert found['missing'] == [f'the set night: not in {alone}'] and len(found['rows']) == 1


def test_the_command_names_methods_and_groups_seeds(three, tmp_path, capsys):
    a, b, c = (str(three[name]) for name in ('aod', 'ours_0', 'ours_1'))
    assert main(['compare', f'aod={a}', f'ours={b}', f'ours={c}', '--json', str(tmp_path / 'c.json')]) == 0
    printed = capsys.readouterr()
    assert '| ours   | **25.50** ± 0.71 |' in printed.out
    assert 'day, PSNR@rgb: the best and the second method cannot be told apart (n = 4, p = 0.25)' in printed.err
    record = json.loads((tmp_path / 'c.json').read_text())
    assert record['reports'] == dict(aod=[a], ours=[b, c]) and record['rows'][0]['means']['ours'] == 25.5
    assert main(['compare', a, b, c, '--format', 'csv']) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith(f'{a},23.0,')
    assert main(['compare', a, f'ours={a}']) == 1
    assert 'a report is given twice' in capsys.readouterr().err
    assert main(['compare', a]) == 1
    assert 'needs at least two reports, but got 1' in capsys.readouterr().err


def test_from_python_two_reports_are_tested_in_pairs(three):
    found = compare([three['aod'], three['ours_0']])
    assert found['rows'][0]['difference'] == 2.0 and found['reports'] == {
        str(three['aod']): str(three['aod']), str(three['ours_0']): str(three['ours_0'])}
    found = compare(dict(ours=[three['ours_0'], three['ours_1']], aod=three['aod']))
    assert found['methods'] == ['ours', 'aod']

import csv
import json

import numpy as np
import pytest
from reports import report

from restorekit.cli.main import main
from restorekit.evaluation import get_protocol
from restorekit.evaluation.comparison import NotComparableError, compare_reports, differences
from restorekit.evaluation.report import per_image_csv
from restorekit.evaluation.report_reader import ReportError, read_report
from restorekit.evaluation.report_tables import _code


def test_a_difference_its_interval_and_its_p(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.normal(20, 4, 30)
    gain = rng.normal(0.5, 0.4, 30)
    found = compare_reports(report(tmp_path / 'a', dict(day=base, night=base)),
                            report(tmp_path / 'b', dict(day=base + gain, night=base + gain - 0.5)))
    day, night = found['rows']
    assert day['n'] == 30 and day['difference'] == pytest.approx(gain.mean())
    half = 1.96 * gain.std() / 30**0.5
    assert (day['low'], day['high']) == pytest.approx((gain.mean() - half, gain.mean() + half), abs=0.2 * half)
    assert day['p'] == 1 / 20001 and day['p_holm'] == pytest.approx(2 / 20001)
    assert (day['wins'], day['losses'], day['ties']) == (sum(gain > 0), sum(gain < 0), 0)
    assert day['better'] == 'b' and night['better'] is None
    assert day['sentence'].startswith(f'day, PSNR@rgb: B is better, by {gain.mean():.2f} dB on average (95 % interval')
    assert 'night, PSNR@rgb: A and B cannot be told apart' in night['sentence']


def test_smaller_can_be_better(tmp_path):
    values = list(range(20))
    a = report(tmp_path / 'a', dict(day=values), higher=False)
    b = report(tmp_path / 'b', dict(day=[value + 1 for value in values]), higher=False)
    row = compare_reports(a, b)['rows'][0]
    assert row['better'] == 'a' and row['wins'] == 0 and row['losses'] == 20
    row = compare_reports(a, a)['rows'][0]
    assert row['ties'] == 20 and row['sentence'] == 'day, PSNR@rgb: A and B are equal on all 20 images'


def test_a_few_images_cannot_tell(tmp_path):
    row = compare_reports(report(tmp_path / 'a', dict(day=[1.0, 2.0, 3.0])),
                          report(tmp_path / 'b', dict(day=[5.0, 6.5, 7.0])))['rows'][0]
    assert row['p'] == 0.25 and row['better'] is None
    assert 'with 3 images no difference, however large, could be told from chance' in row['sentence']


def test_images_are_paired_by_name_and_missing_ones_named(tmp_path):
    a = report(tmp_path / 'a', dict(day=[1.0, 2.0, 3.0], dusk=[1.0]))
    b = report(tmp_path / 'b', dict(day=[2.0, 3.0, 9.0]))
    with (b / 'per_image.csv').open(newline='') as file:
        header, *lines = csv.reader(file)
    lines[2][1] = 'other.png'
    with (b / 'per_image.csv').open('w', newline='') as file:
        csv.writer(file).writerows([header, *lines[::-1]])
    found = compare_reports(a, b)
    assert found['rows'][0]['n'] == 2 and found['rows'][0]['difference'] == 1.0
    assert found['missing'] == [f'the set dusk: only in {a}', f'day/2.png: PSNR@rgb only in {a}',
                                f'day/other.png: PSNR@rgb only in {b}']


def test_what_was_measured_otherwise_is_refused(tmp_path):
    a = report(tmp_path / 'a', dict(day=[1.0, 2.0]))
    with pytest.raises(NotComparableError, match=r"PSNR@rgb and PSNR@y-matlab cannot be compared: .*colour is 'rgb' in "
                                                 r"the one, 'y-bt601' in the other"):
        compare_reports(a, report(tmp_path / 'b', dict(day=[1.0, 2.0]), label='PSNR@y-matlab'))
    c = report(tmp_path / 'c', dict(day=[1.0, 2.0]))
    summary = json.loads((c / 'summary.json').read_text())
    summary['definitions']['PSNR@rgb']['protocol']['crop_border'] = 4
    (c / 'summary.json').write_text(json.dumps(summary))
    with pytest.raises(NotComparableError, match='crop_border is 0 in the one, 4 in the other'):
        compare_reports(a, c)
    with pytest.raises(NotComparableError, match=r'the set day is not the same list of images \(2 images in A, 3 in B, '
                                                 r'hashes 111111111111... and 222222222222...\)'):
        compare_reports(a, report(tmp_path / 'd', dict(day=[1.0, 2.0, 3.0]), list_hash='2' * 64))
    with pytest.raises(NotComparableError, match='A measured on day and B on night'):
        compare_reports(a, report(tmp_path / 'e', dict(night=[1.0, 2.0])))
    with pytest.raises(NotComparableError, match='A measured PSNR@rgb and B SSIM@rgb'):
        compare_reports(a, report(tmp_path / 'f', dict(day=[1.0, 2.0]), label='SSIM@rgb'))


def test_other_inputs_and_libraries_are_warned_of(tmp_path):
    a = report(tmp_path / 'a', dict(day=[1.0, 2.0]), inputs=[1.0, 2.0], versions=dict(lpips='0.1.3'))
    b = report(tmp_path / 'b', dict(day=[1.0, 2.0]), inputs=[1.0, 2.25], versions=dict(lpips='0.1.4'))
    cautions = compare_reports(a, b)['cautions']
    assert cautions[0].startswith('lpips is 0.1.3 in A and 0.1.4 in B')
    assert 'the inputs themselves score differently in A and B on 1 of 2 images, by up to 0.25' in cautions[1]


def test_a_result_that_is_not_finite_is_named_and_nobody_wins(tmp_path):
    nan = float('nan')
    good = [10.0 + i for i in range(20)]
    a = report(tmp_path / 'a', dict(day=good))
    b = report(tmp_path / 'b', dict(day=[nan, nan, *(value + 1 for value in good[2:])]))
    found = compare_reports(a, b)
    assert found['cautions'] == ['day, PSNR@rgb: not finite in B on 2 of 20 images (0.png, 1.png), which are left out']
    row = found['rows'][0]
    assert row['n'] == 18 and row['p_holm'] < 0.05 and row['better'] is None and row['failed'] == [0, 2]
    assert row['sentence'] == 'day, PSNR@rgb: no winner is named, since B is not finite on 2 images where A is'
    # where both failed, the others decide
    c = report(tmp_path / 'c', dict(day=[nan, nan, *good[2:]]))
    found = compare_reports(c, b)
    assert found['rows'][0]['better'] == 'b' and len(found['cautions']) == 2
    with pytest.raises(NotComparableError, match='share no image that both measured: day, PSNR@rgb: not finite in A'):
        compare_reports(report(tmp_path / 'd', dict(day=[nan])), report(tmp_path / 'e', dict(day=[1.0])))


@pytest.mark.parametrize(('change', 'message'), [
    (lambda lines: lines[2].append('5.0'), r'row 3 of .*/a/per_image.csv \(day/1.png\) has 5 cells, but 4 columns'),
    (lambda lines: lines[1].pop(), r'row 2 of .*/a/per_image.csv \(day/0.png\) has 3 cells'),
    (lambda lines: [line.insert(2, 'PSNR@rgb') for line in lines], 'a/per_image.csv has the columns domain, image, P'),
    (lambda lines: lines[2].__setitem__(2, 'much'), "row 3 of .*/a/per_image.csv cannot be read: could not convert st"),
    (lambda lines: lines[1].__setitem__(1, 'x' * 200000), 'row 2 of .*/a/per_image.csv cannot be read: field larger'),
    (lambda lines: lines[1].__setitem__(slice(None), ['day']), 'row 2 of .*/a/per_image.csv cannot be read: not'),
    (lambda lines: lines.clear(), 'a/per_image.csv has the columns , not the ones of summary.json'),
])
def test_a_table_whose_cells_do_not_fit_its_columns_is_refused(tmp_path, change, message):
    a = report(tmp_path / 'a', dict(day=[1.0, 2.0]))
    with (a / 'per_image.csv').open(newline='') as file:
        lines = list(csv.reader(file))
    change(lines)
    with (a / 'per_image.csv').open('w', newline='') as file:
        csv.writer(file).writerows(lines)
    with pytest.raises(ReportError, match=message):
        read_report(a)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda text: '[' * 100000, 'its values are nested too deeply'),
    (lambda text: text[:40], 'Expecting|Unterminated'),
    (lambda text: '[]', 'it should be an object, but is a list'),
    (lambda text: '{}', 'definitions is missing'),
    (lambda text: text.replace('"mean": 1.5', '"mean": "1.5"'),
     'sets.day.metrics.PSNR@rgb.mean should be a whole number or a number or null, but is a text'),
    (lambda text: text.replace('"n": 2', f'"n": {10**400}'), 'metrics.PSNR@rgb.n is a number of 1329 bits'),
    (lambda text: text.replace('"n": 2', '"n": true'), 'metrics.PSNR@rgb.n should be a whole number, but is true or'),
    (lambda text: text.replace('"worst": [', '"worst": [1, '), r'worst\[0\] should be an object, but is a whole'),
    (lambda text: text.replace('"higher_is_better": true', '"higher": true'),
     'definitions.PSNR@rgb.higher_is_better is missing'),
    (lambda text: text.replace('"PSNR@rgb": {\n      "label"', '"SSIM@rgb": {\n      "label"'),
     'sets.day.metrics.PSNR@rgb has no entry in definitions'),
    (lambda text: '\udce9', "can't decode")])
def test_a_damaged_summary_is_refused_with_its_place(tmp_path, change, message, capsys):
    a = report(tmp_path / 'a', dict(day=[1.0, 2.0]))
    text = (a / 'summary.json').read_text()
    assert change(text) != text
    (a / 'summary.json').write_bytes(change(text).encode(errors='surrogateescape'))
    with pytest.raises(ReportError, match=f'/a/summary.json is not the summary of a report: .*({message})'):
        read_report(a)
    assert main(['compare', str(a), str(report(tmp_path / 'b', dict(day=[1.0, 2.0])))]) == 1
    assert 'Traceback' not in capsys.readouterr().err


def test_cells_that_a_spreadsheet_would_run_are_made_harmless_and_read_back(tmp_path):
    names = ['=cmd|x', '+1', '-1.png', '@SUM(A1)', '\ttab', "'quoted", "'=both", 'plain.png', '']
    rows = [dict(domain='-day', image=name, values=[[-1.0, None]]) for name in names]
    text = per_image_csv(rows, ['PSNR@rgb'])
    cells = [line[:2] for line in csv.reader(text.splitlines()[1:])]
    assert cells == [["'-day", cell] for cell in ("'=cmd|x", "'+1", "'-1.png", "'@SUM(A1)", "'\ttab", "''quoted",
                                                  "''=both", 'plain.png', '')]
    a = report(tmp_path / 'a', {'-day': [1.0]})
    (a / 'per_image.csv').write_bytes(text.encode())
    assert list(read_report(a)[1]) == [('-day', name) for name in names]


def test_names_of_any_kind_are_read_back(tmp_path):
    names = ['a\rb.png', 'a\nb.png', 'a,"b".png', ' \r\n.png']
    rows = [dict(domain='day', image=name, values=[[1.0, None]]) for name in names]
    report(tmp_path, dict(day=[1.0]))
    (tmp_path / 'per_image.csv').write_bytes(per_image_csv(rows, ['PSNR@rgb']).encode())
    assert list(read_report(tmp_path)[1]) == [('day', name) for name in names]


def test_markdown_shows_names_as_they_are(tmp_path):
    name = 'a|b *bold* <i> _x_ my_set'
    report(tmp_path, {name: [1.0, 2.0]})
    text = (tmp_path / 'summary.md').read_text()
    escaped = r'a\|b \*bold\* \<i\> \_x\_ my_set'
    assert f'## {escaped}\n' in text and f'| {escaped} | PSNR@rgb ↑ | 2 |' in text
    assert _code('0.png') == '`0.png`' and _code('a`b``c') == '``` a`b``c ```' and _code('a\nb') == '`a b`'


def test_a_few_images_cannot_tell_beside_other_lines(tmp_path):
    base, gains = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 1.5, 1.0, 2.0, 1.0, 1.0]
    better = [x + gain for x, gain in zip(base, gains, strict=True)]
    row = compare_reports(report(tmp_path / 'a', dict(day=base)), report(tmp_path / 'b', dict(day=better)))['rows'][0]
    assert row['p'] == row['p_holm'] == 1 / 32 and row['better'] == 'b'
    found = compare_reports(report(tmp_path / 'c', dict(day=base, night=base)),
                            report(tmp_path / 'd', dict(day=better, night=better)))
    for row in found['rows']:
        assert row['p_holm'] == 1 / 16 and row['better'] is None
        assert 'with 6 images and 2 lines no difference, however large, could be told from chance' in row['sentence']
    # beside a line that is sure, the other's smallest p is not doubled
    many = list(range(30))
    found = compare_reports(report(tmp_path / 'e', dict(day=base, night=many)),
                            report(tmp_path / 'f', dict(day=[*better[:5], 0.0], night=[x + 1 for x in many])))
    assert found['rows'][1]['better'] == 'b' and 'however large' not in found['rows'][0]['sentence']


def test_the_refusal_says_each_difference_once():
    def summary(*protocols):
        labels = {f'{quantity}@{name}': dict(protocol=get_protocol(name).settings) for name in protocols
                  for quantity in ('PSNR', 'SSIM', 'MAE')}
        return dict(definitions=labels, sets=dict(day=dict(list_hash='1', images=1)))
    problems = differences(summary('rgb', 'ffa'), summary('y-matlab'))
    assert len(problems) == 2
    assert problems[0] == ("PSNR@rgb and PSNR@y-matlab cannot be compared: quantize is False in the one, True in the "
                           "other, colour is 'rgb' in the one, 'y-bt601' in the other. Measure both under one protocol")
    assert problems[1].startswith('SSIM@ffa and SSIM@y-matlab') and "ssim_padding is 'zero' in the one" in problems[1]


def test_a_library_metric_with_other_options_is_refused():
    one, other = (dict(definitions={'NIQE@pyiqa': dict(protocol=None, options=options)},
                       sets=dict(day=dict(list_hash='1', images=1))) for options in ({}, dict(crop=4)))
    assert differences(one, one) == []
    assert differences(one, other) == ["NIQE@pyiqa was measured with the options {} in A and {'crop': 4} in B"]


def test_the_command(tmp_path, capsys):
    a, b = report(tmp_path / 'a', dict(day=[11.0] * 8)), report(tmp_path / 'b', dict(day=[12.0] * 8))
    assert main(['compare', str(a), str(b), '--json', str(tmp_path / 'out' / 'c.json')]) == 0
    printed = capsys.readouterr().out
    assert 'B is better, by 1.00 dB on average' in printed and '+1.00 to +1.00' in printed
    assert json.loads((tmp_path / 'out' / 'c.json').read_text())['rows'][0]['p'] == 2 / 2**8
    assert main(['compare', str(a), str(tmp_path)]) == 1
    assert 'holds no finished report (summary.json and per_image.csv): write one with' in capsys.readouterr().err
    (a / 'summary.json').write_text('{}')
    assert main(['compare', str(a), str(b)]) == 1
    assert 'a/summary.json is not the summary of a report: definitions is missing' in capsys.readouterr().err

"""A study's networks are tested again as they were tested, or on other images."""

import json

import pytest
from machine import alike
from test_kill_and_soak import load

from restorekit.messages import InputError
from restorekit.tasks.study import study


@pytest.mark.slow
def test_the_same_images_give_the_same_numbers_and_more_images_a_report(tmp_path, monkeypatch):
    out, again, more = (tmp_path / name for name in ('out', 'again', 'more'))
    options = {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'default_hooks.checkpoint.interval': 2}
    study('studies/tiny', out, job=(1, 8), options=options)
    tool = load('retest_study')

    def run(*arguments):
        tool.run(tool.parse_args(['studies/tiny', str(out), *map(str, arguments)]))
    run('--out', again, '--test', 'haze=haze')
    results = sorted(path.relative_to(out) for path in out.rglob('result.json'))
    assert len(results) == 1 and sorted(path.relative_to(again) for path in again.rglob('result.json')) == results
    before, after = (json.loads((folder / results[0]).read_text())['metrics'] for folder in (out, again))
    assert list(after['PSNR@rgb']['sets']) == ['haze'] and len(after) == 2
    for label in before:
        a, b = (found[label]['sets']['haze'] for found in (after, before))
        assert a.keys() == b.keys() and all(a[image] == alike(b[image]) for image in b)
    run('--out', more, '--test', 'haze=haze', '--cfg-options', 'val_dataloader.dataset.datasets.haze.length=9',
        "val_evaluator=[{'type':'HazeDensity'}]")
    summary = json.loads((more / 'report.json').read_text())
    assert list(summary['metrics']) == ['HazeDensity@restorekit'] and summary['jobs'] == summary['finished'] == 1
    assert [row['images'] for row in summary['metrics']['HazeDensity@restorekit']['rows']] == [9]
    with pytest.raises(InputError, match="'dusk' is not in the domains of .*did you mean 'dust'"):
        run('--out', tmp_path / 'x', '--test', 'dusk=dust')
    with pytest.raises(InputError, match='none of these jobs has a result'):
        run('--out', tmp_path / 'x', '--test', 'dust=dust')

import json

import pytest
from tiny import config

from restorekit.engine import RestoreRunner
from restorekit.evaluation import FidelityMetric
from restorekit.registry import METRICS
from restorekit.tasks.plot_logs import plot_logs


class Blemish(FidelityMetric):
    """A user's metric, of which smaller is better."""

    quantity = 'Blemish'
    unit = '%'
    higher_is_better = False

    def measure(self, pred, gt):
        return (pred - gt).abs().amax(dim=(1, 2, 3))


@pytest.mark.slow
def test_a_run_writes_down_which_values_of_a_users_metric_are_better(tmp_path):
    METRICS.register_module(module=Blemish)
    try:
        cfg = config(tmp_path, iters=2, interval=1, val_evaluator=[dict(type='PSNR'), dict(type='Blemish')],
                     default_hooks=dict(logger=dict(type='LoggerHook', log_metric_by_epoch=False)))
        RestoreRunner.from_cfg(cfg).train()
    finally:
        METRICS._module_dict.pop('Blemish')
    files = list(tmp_path.glob('*/vis_data/metrics.json'))
    assert [json.loads(file.read_text()) for file in files] == [{
        'PSNR@rgb': dict(higher_is_better=True, unit='dB'), 'Blemish@rgb': dict(higher_is_better=False, unit='%')}]
    # read where nobody has the metric
    found = next(iter(plot_logs(tmp_path, keys=['*/Blemish*', '*/PSNR*']).values()))
    worst, psnr = (next(value for key, value in found.items() if name in key) for name in ('Blemish', 'PSNR'))
    assert worst['points'] == 2 and worst['best'] <= worst['last'] and psnr['best'] >= psnr['last']

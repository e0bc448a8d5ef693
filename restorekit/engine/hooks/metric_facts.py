"""The facts of a run's metrics, written beside its logs."""

import json
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook

from restorekit.evaluation import ImageMetric
from restorekit.evaluation.report import describe_metric
from restorekit.files.atomic import atomic_write_text
from restorekit.registry import HOOKS


@HOOKS.register_module()
class MetricFactsHook(Hook):
    """Write direction and unit of each metric of the validation to ``vis_data/metrics.json``, beside the scalars.

    So what reads the log later knows which values of a user's metric are better, without the user's code. The file
    holds ``{label: dict(higher_is_better, unit)}``.
    """

    priority = 'LOW'

    @master_only
    def before_val(self, runner):
        """Write the file."""
        described = [describe_metric(metric) for metric in runner.val_loop.evaluator.metrics
                     if isinstance(metric, ImageMetric)]
        facts = {found['label']: {key: found[key] for key in ('higher_is_better', 'unit')} for found in described}
        folder = Path(runner.log_dir, 'vis_data')
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write_text(json.dumps(facts, indent=2) + '\n', folder / 'metrics.json')

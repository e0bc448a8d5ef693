"""Test the networks of a study's finished jobs again, on other images or by other metrics, and write its report.

Nothing is trained. A rendered domain can have any number of test images, and more of them show smaller differences;
photos without truth can be rated by metrics that need none.
"""

import argparse
import json
import sys
from pathlib import Path

from restorekit.cli.common import prepare_process, run_guarded
from restorekit.cli.option_action import OptionAction
from restorekit.messages import InputError, unknown_name_message
from restorekit.tasks.study import RESULT_FILE, STUDY_FILE, study_report
from restorekit.tasks.study_file import Job, Study


def parse_args(arguments=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('study', help='study file, or its name below configs/')
    parser.add_argument('folder', type=Path, help='its results, as given to restorekit study --out')
    parser.add_argument('--out', type=Path, required=True, help='folder of the new results and the report')
    parser.add_argument('--test', nargs='+', required=True, metavar='DOMAIN=SETS',
                        help='left-out domains, and the validation sets on which their networks are tested, e.g. '
                        'real=ohaze,tinted')
    parser.add_argument('--variants', nargs='+', metavar='NAME', help='these variants alone')
    parser.add_argument('--data-root', metavar='DIR')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='K=V', default={},
                        help='overrides, e.g. val_dataloader.dataset.datasets.dust.include=*.jpg')
    return parser.parse_args(arguments)


def run(args):
    """Test, and write the report."""
    prepare_process('none')
    study, record = Study(args.study), json.loads((args.folder / STUDY_FILE).read_text())
    sets = dict(entry.split('=', 1) for entry in args.test)
    sets = {domain: names.split(',') for domain, names in sets.items()}
    for domain in sets:
        if domain not in study.domains:
            raise InputError(unknown_name_message(domain, study.domains, f'domains of {study.file}'))
    jobs = [job for job in study.jobs() if job.domain in sets and (not args.variants or job.variant in args.variants)
            and (args.folder / 'jobs' / job.name / RESULT_FILE).is_file()]
    if not jobs:
        raise InputError(f'none of these jobs has a result in {args.folder}')
    names = {job.variant for job in jobs}
    record.update(
        domains={domain: study.domains[domain] for domain in sets}, test_sets=sets, jobs=[vars(job) for job in jobs],
        variants={name: value for name, value in record['variants'].items() if name in names},
        analysis=f'The networks of {study.file.name}, tested again on other images or by other metrics. Its own '
                 f'analysis: {record["analysis"]}')
    rendered = {}
    for job in jobs:
        target = args.out / 'jobs' / job.name / RESULT_FILE
        if target.is_file():
            continue
        result = json.loads((args.folder / 'jobs' / job.name / RESULT_FILE).read_text())
        if not result['failed']:
            result['metrics'] = measure(study.config(job, args.data_root, args.cfg_options), job, sets[job.domain],
                                        args.folder / 'jobs' / job.name / result['run'], rendered)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(dict(result, curve=[]), sort_keys=True) + '\n')
        print(job.name, flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / STUDY_FILE).write_text(json.dumps(record, indent=1) + '\n')
    print(f'Report: {study_report(args.out)["page"]}')


def measure(cfg, job: Job, names, folder, rendered):
    """Return the numbers of one job's network on some validation sets; their images are rendered once for all jobs."""
    import torch
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DefaultScope

    from restorekit.checkpoint import load_checkpoint_file, load_network_weights, network_state
    from restorekit.engine import join_data_root
    from restorekit.engine.hooks.per_image import per_image_numbers
    from restorekit.registry import DATASETS, METRICS, MODELS
    join_data_root(cfg)
    with DefaultScope.overwrite_default_scope('restorekit'), torch.no_grad():
        if not set(names) <= set(rendered):
            whole = DATASETS.build(cfg.val_dataloader.dataset.to_dict())  # an image is rendered by its place in it
            ends = dict(zip(cfg.val_dataloader.dataset.datasets, whole.ends, strict=True))
            for name in names:
                length = len(whole.datasets[list(ends).index(name)])
                rendered[name] = [whole[i] for i in range(ends[name] - length, ends[name])]
        model = MODELS.build(cfg.model.to_dict()).eval()
        path = (folder / 'last_checkpoint').read_text().strip()
        load_network_weights(model.network, network_state(load_checkpoint_file(folder / Path(path).name)), path)
        metrics = [METRICS.build(metric.to_dict()) for metric in cfg.val_evaluator]
        items = [item for name in names for item in rendered[name]]
        for item in items:
            batch = pseudo_collate([item])
            samples = [sample.to_dict() for sample in model.test_step(batch)]
            for metric in metrics:
                metric.process(batch, samples)
        for metric in metrics:
            metric.evaluate(len(items))
    return per_image_numbers(metrics)


if __name__ == '__main__':
    sys.exit(run_guarded(run, parse_args()))

"""Say what weight a study's reweighter gives to the sets it tests on, in the embedding of the baseline's networks.

In a mixture with a spurious correlation the items that contradict it are rare; a reweighter that removes the
correlation weights them up.
"""

import argparse
import statistics
import sys
from pathlib import Path

from restorekit.cli.common import prepare_process, run_guarded
from restorekit.messages import InputError
from restorekit.tasks.study_file import Job, Study


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('study', help='study file, or its name below configs/')
    parser.add_argument('folder', type=Path, help='its results, as given to restorekit study --out')
    parser.add_argument('--variant', required=True, metavar='NAME', help='variant with a reweighter')
    parser.add_argument('--domain', required=True, metavar='NAME', help='domain whose test sets are looked at')
    parser.add_argument('--batches', type=int, default=20, help='batches; the first fifth warms up (default: 20)')
    parser.add_argument('--data-root', metavar='DIR')
    return parser.parse_args()


def run(args):
    """Print a line for each seed that the baseline has finished."""
    prepare_process('none')
    from mmengine.registry import DefaultScope
    study = Study(args.study)
    for seed in study.settings['seeds']:
        folder = args.folder / 'jobs' / Job(study.baseline, args.domain, seed).name / 'run'
        if (folder / 'last_checkpoint').is_file():
            cfg = study.config(Job(args.variant, args.domain, seed), args.data_root)
            if not cfg.model.get('reweighter'):
                raise InputError(f'variant {args.variant!r} of {study.file} has no reweighter')
            checkpoint = folder / Path((folder / 'last_checkpoint').read_text().strip()).name
            with DefaultScope.overwrite_default_scope('restorekit'):
                items, weights, effective = shares(cfg, checkpoint, study.test_sets(args.domain), args.batches)
            print(f'seed {seed}: {items:.3f} of the items, {weights:.3f} of the weights; effective share of the batch '
                  f'{effective:.2f}')


def shares(cfg, checkpoint, names, batches):
    """Return the sets' share of the items and of the weights, and the effective sample size over the batch's."""
    import torch

    from restorekit.engine import join_data_root
    from restorekit.functional.ranges import rescale
    from restorekit.inference import load_network
    from restorekit.registry import DATASETS, MODELS
    join_data_root(cfg)
    dataset, network = DATASETS.build(cfg.train_dataloader.dataset), load_network(checkpoint)
    reweighter = cfg.model.reweighter.to_dict()
    if reweighter.get('bank_size'):
        reweighter['embedding_dim'] = network.embedding_dim
    reweighter, size, rows = MODELS.build(reweighter).train(), cfg.train_dataloader.batch_size, []
    with torch.no_grad():
        for start in range(0, batches * size, size):
            batch = [dataset[(number % len(dataset), number)] for number in range(start, start + size)]
            images = torch.stack([item['inputs'] for item in batch]).float() / 255
            found = reweighter(network.embed(rescale(images, (0.0, 1.0), network.input_range)).mean((2, 3)))
            rare = torch.tensor([item['data_samples'].domain in names for item in batch])
            rows.append((rare.float().mean().item(), found[rare].sum().item(), reweighter.log['ess'] / size))
    return [statistics.mean(column) for column in zip(*rows[batches // 5:], strict=True)]


if __name__ == '__main__':
    sys.exit(run_guarded(run, parse_args()))

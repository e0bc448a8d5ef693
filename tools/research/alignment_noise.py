"""Say how much of an alignment term is the sampling noise of a covariance.

Compares CORAL between batches of the source and the target with CORAL between two batches of the source, which is noise
alone, at several batch sizes.
"""

import argparse
import json
import statistics
import sys

from restorekit.cli.common import prepare_process, run_guarded
from restorekit.cli.option_action import OptionAction
from restorekit.config import load_config
from restorekit.messages import InputError


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config whose train_dataloader.dataset is a DomainPairDataset')
    parser.add_argument('checkpoint', help='network whose embeddings are compared')
    parser.add_argument('--data-root', metavar='DIR')
    parser.add_argument('--batch', type=int, nargs='+', default=[8, 16, 64, 256], metavar='N',
                        help='batch sizes (default: 8 16 64 256)')
    parser.add_argument('--samples', type=int, default=1024, help='samples of each domain (default: 1024)')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='K=V', default={},
                        help='overrides, e.g. train_dataloader.dataset.target.weights.photos=0')
    parser.add_argument('--json', metavar='FILE', help='write the figures')
    return parser.parse_args()


def run(args):
    """Print the table."""
    prepare_process('none')
    import torch
    from mmengine.registry import DefaultScope

    from restorekit.engine import join_data_root
    from restorekit.functional.ranges import rescale
    from restorekit.inference import load_network
    from restorekit.models.losses import coral_loss
    from restorekit.registry import DATASETS
    cfg = load_config(args.config, args.cfg_options, args.data_root)
    join_data_root(cfg)
    with DefaultScope.overwrite_default_scope('restorekit'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    network = load_network(args.checkpoint)

    def embed(images):
        return network.embed(rescale(torch.stack(images).float() / 255, (0.0, 1.0), network.input_range)).mean((2, 3))

    source, target = [], []
    with torch.no_grad():
        for first in range(0, args.samples, 16):
            items = [dataset[(number % len(dataset), number)] for number in range(first, min(first + 16, args.samples))]
            source.append(embed([item['inputs'] for item in items]))
            target.append(embed([item['target']['inputs'] for item in items]))
    source, target = torch.cat(source), torch.cat(target)

    def mean(one, other, n, step):
        starts = range(0, args.samples - step + 1, step)
        return statistics.mean(coral_loss(one[i:i + n], other[i + step - n:i + step], bounded=False).item()
                               for i in starts)
    figures = {}
    for n in args.batch:
        if 2 * n > args.samples:
            raise InputError(f'--samples must be at least twice every --batch, but got {args.samples} and {n}')
        figures[f'source and target, {n} samples'] = mean(source, target, n, n)
        figures[f'source and source, {n} samples'] = mean(source, source, n, 2 * n)
    for name, value in figures.items():
        print(f'| {name:36s} | {value:.5f} |')
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(figures, file, indent=2)


if __name__ == '__main__':
    sys.exit(run_guarded(run, parse_args()))

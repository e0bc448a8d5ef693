"""Say how much of an alignment term is the sampling noise of a covariance.

Compares CORAL between batches of the source and the target with CORAL between two batches of the source, at the batch
size of training and over all embeddings together.
"""

import argparse
import json
import statistics
import sys

from restorekit.cli.common import prepare_process, run_guarded
from restorekit.config import load_config


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config whose train_dataloader.dataset is a DomainPairDataset')
    parser.add_argument('checkpoint', help='network whose embeddings are compared')
    parser.add_argument('--data-root', metavar='DIR')
    parser.add_argument('--batch', type=int, default=8, help='samples of each domain (default 8)')
    parser.add_argument('--batches', type=int, default=40, help='batches drawn (default 40)')
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
    cfg = load_config(args.config, data_root=args.data_root)
    join_data_root(cfg)
    with DefaultScope.overwrite_default_scope('restorekit'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    network = load_network(args.checkpoint)

    def embed(images):
        return network.embed(rescale(torch.stack(images).float() / 255, (0.0, 1.0), network.input_range)).mean((2, 3))

    source, target = [], []
    with torch.no_grad():
        for first in range(0, args.batch * args.batches, args.batch):
            items = [dataset[(number % len(dataset), number)] for number in range(first, first + args.batch)]
            source.append(embed([item['inputs'] for item in items]))
            target.append(embed([item['target']['inputs'] for item in items]))

    def mean(pairs):
        return statistics.mean(coral_loss(a, b, bounded=False).item() for a, b in pairs)
    together, half = torch.cat(source), args.batch * args.batches // 2
    figures = {
        f'source and target, {args.batch} samples': mean(zip(source, target, strict=True)),
        f'source and source, {args.batch} samples': mean(zip(source[::2], source[1::2], strict=False)),
        f'source and target, {2 * half} samples': mean([(together, torch.cat(target))]),
        f'source and source, {half} samples': mean([(together[:half], together[half:])])}
    for name, value in figures.items():
        print(f'| {name:36s} | {value:.5f} |')
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(figures, file, indent=2)


if __name__ == '__main__':
    sys.exit(run_guarded(run, parse_args()))

"""Measure what each part of CID adds: train the variants of configs/cid/cid_ablation.py for several seeds.

Every variant gets the same iterations, the same network and, seed for seed, the same images in the same order. A second
table shows what the parts did: the effective sample size and the largest weight of the reweighter, alignment's term,
its share of the gradient, and how far the embedding's spread went. Run again after a stop, it goes on where it was.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

from restorekit.checkpoint import load_checkpoint_file, restore_history
from restorekit.cli.common import OptionAction, prepare_process, run_guarded
from restorekit.config import load_config

VARIANTS = dict(source_only='source only', multi_domain='+ multi-domain data', reweighting='+ reweighting',
                alignment='+ alignment', everything='all')
WATCHED = dict(reweight_ess='effective sample size', reweight_weight_max='largest weight (times n)',
               loss_align='alignment term', align_grad_share="alignment's share of the gradient",
               embedding_std_source='source spread, end / start', embedding_std_target='target spread, end / start')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config', default='cid/cid_ablation')
    parser.add_argument('--data-root', required=True, metavar='DIR')
    parser.add_argument('--work-dir', default='work_dirs/ablation', metavar='DIR')
    parser.add_argument('--out', metavar='FILE', help='where the tables go (default: WORK_DIR/ablation.md)')
    parser.add_argument('--seeds', type=int, default=3, help='seeds 0, 1, ... (default 3)')
    parser.add_argument('--pretrain-iters', type=int, help='iterations before the variants part')
    parser.add_argument('--iters', type=int, help='iterations of each variant')
    parser.add_argument('--batch', type=int, help='batch size')
    parser.add_argument('--crop', type=int, default=96, help='crop, of views of twice the size (default 96)')
    parser.add_argument('--workers', type=int, help='data workers')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, default={}, metavar='K=V')
    return parser.parse_args()


def options_of(args, cfg):
    """The changes of all phases' configs that the arguments ask for."""
    options = dict(args.cfg_options)
    for name in cfg.phases:
        iters = args.pretrain_iters if name.startswith('pretrain') else args.iters
        if iters:
            options[f'phases.{name}.train_cfg.max_iters'] = iters
    if args.batch:
        options['train_dataloader.batch_size'] = args.batch
    if args.workers is not None:
        options.update({'train_dataloader.num_workers': args.workers,
                        'train_dataloader.persistent_workers': args.workers > 0})
    if args.crop:
        for place in (*(f'source.datasets.{name}' for name in cfg.train_dataloader.dataset.source.datasets), 'target'):
            for step, size in (('crop', args.crop), ('view', 2 * args.crop)):
                options[f'train_dataloader.dataset.{place}.pipeline.{step}.size'] = size
    return options


def train(args, seed):
    """Train all phases of one seed, or what is left of them; return the record of each."""
    from restorekit.engine import MultiPhaseRunner
    options = options_of(args, load_config(args.config))
    cfg = load_config(args.config, options={**options, 'randomness.seed': seed}, data_root=args.data_root)
    cfg.work_dir = str(Path(args.work_dir, f'seed{seed}'))
    runner = MultiPhaseRunner(cfg, resume=True)
    runner.train()
    for name in VARIANTS:
        checkpoint = runner.last_checkpoint(name)
        history = restore_history(load_checkpoint_file(checkpoint)['message_hub'])['log_scalars']
        runner.state['phases'][name]['watched'] = {
            key: watched(key, history[f'train/{key}'].data[0]) for key in WATCHED if f'train/{key}' in history}
    return runner.state['phases']


def watched(key, values):
    """One number for a scalar's course."""
    if key.startswith('embedding_std'):
        tenth = max(1, len(values) // 10)
        return float(values[-tenth:].mean() / max(values[:tenth].mean(), 1e-12))
    return float(values.mean())


def spread(values, digits):
    """Mean and standard deviation over the seeds as text."""
    if not values:
        return '-'
    deviation = f' ± {statistics.stdev(values):.{digits}f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.{digits}f}{deviation}'


def tables(records, args, seconds):
    """Return both tables as Markdown."""
    metrics = records[0]['source_only']['metrics']
    columns = [key for key in metrics if not key.rpartition('/')[2].startswith('input_')]
    rows = [['', *columns]]
    rows.append(['hazy input', *(spread([metrics[key]], digits(key)) if key in metrics else '-' for key in
                                 (f'{key.rpartition("/")[0]}/input_{key.rpartition("/")[2]}' for key in columns))])
    rows += [[label, *(spread([record[name]['metrics'][key] for record in records], digits(key)) for key in columns)]
             for name, label in VARIANTS.items()]
    seen = [key for key in WATCHED if any(key in record[name]['watched'] for record in records for name in VARIANTS)]
    parts = [['', *(WATCHED[key] for key in seen)]]
    parts += [[label, *(spread([record[name]['watched'][key] for record in records if key in record[name]['watched']],
                               3) for key in seen)] for name, label in VARIANTS.items()]
    iterations = [records[0][name]['iterations'] for name in ('pretrain_many_domains', 'reweighting')]
    return (f'{iterations[0]} + {iterations[1]} iterations, {len(records)} seeds, mean ± standard deviation over the '
            f'seeds; {seconds / 60:.0f} minutes of training.\n\n    python {" ".join(sys.argv)}\n\n'
            f'{markdown(rows)}\n\nWhat the parts did:\n\n{markdown(parts)}\n')


def digits(key):
    return 2 if 'PSNR' in key else 4


def markdown(rows):
    rows = [rows[0], ['---'] * len(rows[0]), *rows[1:]]
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def run(args):
    prepare_process('none', workers=1 if args.workers is None else args.workers)
    records = []
    for seed in range(args.seeds):
        print(f'\n##### seed {seed} of {args.seeds}', flush=True)
        records.append(train(args, seed))
        seconds = sum(record[name]['seconds'] for record in records for name in record)
        text = tables(records, args, seconds) + f'\n{time.strftime("%Y-%m-%d")}\n'
        out = Path(args.out or Path(args.work_dir, 'ablation.md'))
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
        print(f'\n{text}\nwritten to {out}', flush=True)


if __name__ == '__main__':
    sys.exit(run_guarded(run, parse_args()))

"""Train methods with domains left out, for several seeds, and report what can be said of their differences."""

from __future__ import annotations

import argparse
import re

from .common import say
from .option_action import OptionAction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument('study', nargs='?', metavar='STUDY.py', help='study file, or its name below configs/')
    parser.add_argument('--out', metavar='DIR', help='folder of the results. Run again, it continues; started on '
                        'several machines that share it, they divide the jobs')
    parser.add_argument('--job', type=_share, metavar='I/N', help='run only the I-th of N shares of the jobs, for '
                        'schedulers (Slurm: --job $SLURM_ARRAY_TASK_ID/N)')
    parser.add_argument('--variants', nargs='+', metavar='NAME', help='run the jobs of these variants alone, e.g. the '
                        "baseline's first")
    parser.add_argument('--workers', type=int, default=1, metavar='N', help='processes, each on cores of its own '
                        '(default: 1)')
    parser.add_argument('--cluster', choices=('slurm', 'local'), help='submit --workers shares of the jobs to a '
                        'scheduler (or, local, to processes on this machine) and return; needs restorekit[cluster]')
    parser.add_argument('--cluster-options', nargs='+', action=OptionAction, metavar='K=V', default={},
                        help="for the scheduler, by submitit's names, e.g. slurm_partition=cpu timeout_min=60 "
                        'cpus_per_task=2')
    parser.add_argument('--report', metavar='DIR', help='write the report of what is finished in DIR, and run nothing')
    parser.add_argument('--data-root', metavar='DIR', help='folder joined before the relative paths of the datasets')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='K=V', default={},
                        help='overrides for every job, e.g. train_cfg.max_iters=100')


def run(args: argparse.Namespace) -> int:
    """Run or report; returns the exit status."""
    from restorekit.messages import InputError
    from restorekit.tasks.study import study, study_report
    if args.report:
        options = {'STUDY.py': args.study, '--out': args.out, '--job': args.job, '--variants': args.variants,
                   '--cluster': args.cluster, '--data-root': args.data_root, '--cfg-options': args.cfg_options}
        unused = [name for name, value in options.items() if value]
        if unused:
            raise InputError('--report writes the report of a finished study and runs nothing, so that '
                             f'{unused[0]} has no effect with it; drop {" and ".join(unused)}, or --report')
        say(f'Report: {study_report(args.report)["page"]}')
        return 0
    if not args.study or not args.out:
        raise InputError('a study needs STUDY.py and --out DIR (or --report DIR alone)')
    if args.cluster:
        from restorekit.tasks.submit_study import submit_study
        if args.job:
            raise InputError('--cluster makes the shares itself; leave out --job, and give their number as --workers')
        jobs = submit_study(args.study, args.out, shares=args.workers, cluster=args.cluster,
                            parameters=args.cluster_options, variants=args.variants, data_root=args.data_root,
                            options=args.cfg_options)
        say(f'Submitted: {", ".join(job.job_id for job in jobs)}; logs in {args.out}/cluster')
        say(f'Report of what is finished: restorekit study --report {args.out}')
        return 0
    state = study(args.study, args.out, job=args.job, variants=args.variants, workers=args.workers,
                  data_root=args.data_root, options=args.cfg_options, progress=lambda text: say(text, flush=True))
    say(f'{state.finished} of {state.total} jobs are finished')
    for name, reason in state.failed.items():
        say(f'  diverged: {name}: {reason}')
    if state.running:
        say(f'  left to other processes: {", ".join(state.running[:5])}{" ..." if len(state.running) > 5 else ""}')
    say(f'Report: {state.report}' if state.report else f'Report of these: restorekit study --report {args.out}')
    return 0


def _share(text):
    found = re.fullmatch(r'(\d+)/(\d+)', text)
    if not found:
        raise argparse.ArgumentTypeError(f'takes I/N, for example 1/4, but got {text!r}')
    return int(found[1]), int(found[2])

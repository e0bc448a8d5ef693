"""What the benchmarks share: timing in turns, a table, JSON."""

import argparse
import json
import platform
import time
from pathlib import Path

import torch

from restorekit.text_table import markdown_table


def parser(doc, rounds):
    """Return a parser with the options of every benchmark."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument('--rounds', type=int, default=rounds, help=f'repetitions of everything (default {rounds})')
    result.add_argument('--json', metavar='FILE', help='write the figures')
    return result


def in_turns(functions, rounds, clock=time.process_time):
    """Return {name: median seconds of a call}; the functions take turns, so that a busy machine is busy for all.

    Times are CPU time of this process by default; with one thread that is what an idle machine would take.
    """
    times = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            start = clock()
            function()
            times[name].append(clock() - start)
    return {name: sorted(values)[len(values) // 2] for name, values in times.items()}


def table(rows):
    """Print rows of text (the first is the head) as a Markdown table."""
    print(markdown_table(rows, left=range(len(rows[0]))))


def write(path, **figures):
    """Write the figures and the machine to ``path``, if one is given."""
    if path:
        machine = dict(python=platform.python_version(), torch=torch.__version__, processor=processor(),
                       threads=torch.get_num_threads(), date=time.strftime('%Y-%m-%d'))
        Path(path).write_text(json.dumps(dict(machine=machine, **figures), indent=2) + '\n')


def processor():
    """The processor's name."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        return next(line.split(':')[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor()

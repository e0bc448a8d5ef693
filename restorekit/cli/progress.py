"""What commands that work on many files print: a progress bar, and the files that failed."""

import contextlib
import sys

from .common import say


@contextlib.contextmanager
def progress_bar(label):
    """Show the progress of a task on stderr, and hand out the callback that it reports to.

    Args:
        label (str): What the steps are, in one or two words.

    Example:
        >>> with progress_bar('images') as progress:  # doctest: +SKIP
        ...     progress(1, 10)
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    console = Console(file=sys.stderr)
    with Progress(TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                  console=console, transient=True) as bar:
        task = bar.add_task(label, total=None)

        def progress(done, total):
            bar.update(task, completed=done, total=total)
        yield progress


def print_failures(failures):
    """Print a line on stderr for each file that failed; returns the exit status."""
    for failure in failures:
        say(f'failed: {failure}', file=sys.stderr)
    return 1 if failures else 0

"""Compare test reports: a paired test for two, one table for more."""

from pathlib import Path

from .common import write_json


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('reports', nargs='+', metavar='[NAME=]REPORT', help='folders written by restorekit test --out; '
                        'NAME is what the table calls the method, and reports of one NAME are its seeds')
    parser.add_argument('--format', choices=['markdown', 'latex', 'csv'],
                        help='format of the table of three or more reports (default: markdown)')
    parser.add_argument('--json', metavar='FILE', help='also write the comparison to this file as JSON')


def run(args):
    """Compare and print."""
    from restorekit.tasks.compare import compare
    found = compare(named_reports(args.reports))
    if 'methods' in found:
        print_table(found, args.format or 'markdown')
    elif args.format:
        from restorekit.messages import InputError
        raise InputError(f'--format {args.format} is for the table of three or more reports, but two were given, whose '
                         'comparison is printed as text; drop --format, or take --json FILE')
    else:
        print_pair(found)
    write_json(args.json, found)


def named_reports(arguments):
    """Return the reports by name; a folder that exists under the whole argument has no name."""
    methods = {}
    for argument in arguments:
        name, equals, path = argument.partition('=')
        if not equals or Path(argument).exists():
            name, path = argument, argument
        methods.setdefault(name, []).append(path)
    return methods


def print_table(found, kind):
    """Print methods by sets and metrics."""
    import sys

    from restorekit.evaluation.method_table import close_calls, format_table
    from restorekit.files.names import terminal_text
    print(terminal_text(format_table(found, kind), lines=True))
    for text in close_calls(found):
        print(terminal_text(text), file=sys.stderr)
    for text in found['missing']:
        print(f'not compared: {terminal_text(text)}', file=sys.stderr)


def print_pair(found):
    """Print the differences of two reports and what can be concluded."""
    from restorekit.evaluation.report_tables import digits_of
    from restorekit.files.names import terminal_text
    from restorekit.text_table import text_table
    a, b = found['reports'].values()
    print(f'A: {a}\nB: {b}\n')
    lines = [['set', 'metric', 'n', 'A', 'B', 'B - A', '95 % interval', 'p', 'p (Holm)', 'B better on', 'A better on']]
    for row in found['rows']:
        digits = digits_of(row['mean_a'])
        lines.append([row['set'], row['label'], row['n'], f'{row["mean_a"]:.{digits}f}', f'{row["mean_b"]:.{digits}f}',
                      f'{row["difference"]:+.{digits}f}',
                      '' if row['low'] is None else f'{row["low"]:+.{digits}f} to {row["high"]:+.{digits}f}',
                      f'{row["p"]:.2g}', f'{row["p_holm"]:.2g}', row['wins'], row['losses']])
    print(terminal_text(text_table(lines, left=(0, 1)), lines=True) + '\n')
    for row in found['rows']:
        print(terminal_text(row['sentence']))
    for text in found['cautions']:
        print(f'\ncaution: {terminal_text(text)}')
    if found['missing']:
        print(f'\nNot compared, since only one report measured them ({len(found["missing"])}):')
        print('\n'.join(f'  {terminal_text(text)}' for text in found['missing'][:10]))
        if len(found['missing']) > 10:
            print('  ...')

"""Compare test reports: a paired test for two, one table for more."""

import sys

from .common import named, say, write_json


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('reports', nargs='+', metavar='[NAME=]REPORT', help='folders written by restorekit test --out; '
                        'NAME is what the table calls the method, and reports of one NAME are its seeds')
    parser.add_argument('--format', choices=['markdown', 'latex', 'csv'],
                        help='format of the table of three or more reports (default: markdown)')
    parser.add_argument('--json', metavar='FILE', help='also write the comparison to this file as JSON')


def run(args):
    """Compare and print."""
    from restorekit.evaluation.comparison import format_comparison
    from restorekit.evaluation.method_table import close_calls, format_table
    from restorekit.files.names import terminal_text
    from restorekit.messages import InputError
    from restorekit.tasks.compare import compare
    methods = {}
    for name, path in named(args.reports):
        methods.setdefault(name, []).append(path)
    found = compare(methods)
    if 'methods' in found:
        say(format_table(found, args.format or 'markdown'))
        for text in (*close_calls(found), *(f'not compared: {text}' for text in found['missing'])):
            say(terminal_text(text), file=sys.stderr)
    elif args.format:
        raise InputError(f'--format {args.format} is for the table of three or more reports, but two were given, whose '
                         'comparison is printed as text; drop --format, or take --json FILE')
    else:
        say(format_comparison(found))
    write_json(args.json, found)

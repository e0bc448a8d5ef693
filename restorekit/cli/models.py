"""List networks, configs and named weights, with their cost and licence."""

from .common import say


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('pattern', nargs='?', default='*', metavar='NAME',
                        help='only what contains NAME; a glob such as gunet_* is matched whole (default: everything)')
    parser.add_argument('--kind', action='append', choices=('network', 'config', 'weights'),
                        help='only this kind; can be given several times (default: all three)')
    parser.add_argument('--markdown', action='store_true', help='write the tables in Markdown, as a page of its own')


def run(args):
    """Print a table for each kind."""
    from restorekit.tasks.catalogue import KINDS, catalogue
    from restorekit.text_table import markdown_table, text_table
    entries = catalogue(args.pattern, kinds=tuple(args.kind or KINDS))
    layout = markdown_table if args.markdown else text_table
    titles = dict(network='Networks (the type in a config; restorekit info NAME shows the options)',
                  config='Configs (restorekit train NAME)', weights='Weights (restorekit restore --model NAME)')
    parts = [_PAGE] if args.markdown else []
    start = len(parts)
    for kind, title in titles.items():
        rows = [_row(entry) for entry in entries if entry.kind == kind]
        if rows:
            heading = f'## {title}\n' if args.markdown else f'{title}:'
            parts.append(f'{heading}\n{layout([_HEADERS[kind], *rows], left=_LEFT[kind])}')
    found = len(parts) > start
    say('\n\n'.join(parts) if found else f'nothing is called {args.pattern!r}; restorekit models lists everything')
    return 0 if found else 1


_PAGE = ('# All networks, configs and weights\n\nWritten by `restorekit models --markdown`. Multiply-adds (GMACs) are '
         'of an image of 256x256.')
_HEADERS = dict(network=('network', "licence of the authors' weights", 'tiling', 'what it is'),
                config=('config', 'parameters', 'GMACs', 'trained on', "licence of the authors' weights", 'results'),
                weights=('weights', 'parameters', 'licence', 'what they are for'))
_LEFT = dict(network=(0, 1, 2, 3), config=(0, 3, 4, 5), weights=(0, 2, 3))


def _row(entry):
    if entry.kind == 'network':
        return entry.name, entry.licence or '-', entry.facts['tiling'], entry.summary
    parameters = '-' if entry.parameters is None else f'{entry.parameters:,}'
    if entry.kind == 'weights':
        return entry.name, parameters, entry.licence, entry.summary
    macs = '-' if entry.macs is None else f'{entry.macs / 1e9:.2f}'
    results = '; '.join(f'{result["Dataset"]}: ' + ', '.join(f'{key} {value}' for key, value in
                                                             result['Metrics'].items()) for result in entry.results)
    return entry.facts['path'].removesuffix('.py'), parameters, macs, entry.facts.get('data', '-'), \
        entry.licence or '-', results or '-'

"""Draw a contact sheet of what a network sees of a config's data."""

from .common import say
from .option_action import OptionAction


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', metavar='CONFIG', help='config file, or its name below configs/')
    parser.add_argument('--data-root', metavar='DIR', help='folder that the relative paths of the config start from')
    parser.add_argument('--phase', metavar='NAME', help='training phase whose data to show (default: the first)')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train',
                        help='which data to show (default: train)')
    parser.add_argument('--number', type=int, default=6, metavar='N',
                        help='number of rows for each domain (default: 6)')
    parser.add_argument('--start', type=int, default=0, metavar='K', help='skip the first K images that training would '
                        'draw (default: 0). The rows show exactly what a run sees from there on')
    parser.add_argument('--height', type=int, default=160, metavar='PIXELS',
                        help='height of a row in pixels (default: 160)')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='KEY=VALUE', default={},
                        help='change values of the config, for example train_dataloader.batch_size=2')
    parser.add_argument('--out', default='dataset.png', metavar='FILE', help='image to write (default: dataset.png)')


def run(args):
    """Draw the sheet; returns the exit status."""
    from restorekit.tasks.browse_dataset import browse_dataset
    sheet = browse_dataset(args.config, data_root=args.data_root, phase=args.phase, split=args.split,
                           number=args.number, start=args.start, height=args.height, options=args.cfg_options,
                           out=args.out)
    say('\n'.join(caption.replace('\n', '\n    ') for caption in sheet.captions))
    where = f'phase {sheet.phase}, ' if sheet.phase else ''
    say(f'{where}{args.split}: {sheet.items} items; {len(sheet.captions)} rows from {sheet.draws} draws: {args.out}')
    for domain, rows in sheet.rows.items():
        if args.split == 'train' and rows < args.number:
            say(f'{domain} was drawn only {rows} times')
    if sheet.other_phases:
        say(f'other phases: {", ".join(sheet.other_phases)} (--phase NAME)')
    return 0

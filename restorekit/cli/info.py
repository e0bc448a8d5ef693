"""Say what a checkpoint, a photo, or a network or config by name is."""

from .common import say


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('file', metavar='FILE', help='checkpoint, .onnx file or image, or a name that '
                        'restorekit models lists')


def run(args):
    """Print a line for each fact."""
    from restorekit.tasks.restore import describe
    facts = describe(args.file)
    width = max(map(len, facts))
    for key, value in facts.items():
        say(f'{key.replace("_", " "):<{width}}  {_shown(value)}')


def _shown(value):
    if value is None:
        return '-'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, dict):
        return ', '.join(f'{key}={item}' for key, item in value.items())
    return f'{value:,}' if isinstance(value, int) else value

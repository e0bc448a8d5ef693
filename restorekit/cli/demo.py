"""Serve a web page on this machine that restores photos."""

from .common import prepare_process


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('--model', nargs='+', default=[], metavar='NAME', dest='models',
                        help='models to choose from; default: those that come with restorekit')
    parser.add_argument('--checkpoint', nargs='+', default=[], metavar='FILE', help='checkpoints to choose from')
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on (default: this machine only)')
    parser.add_argument('--port', type=int, help='port to listen on; default: the first free one from 7860')
    parser.add_argument('--no-browser', action='store_true', help='do not open a browser')


def run(args):
    """Serve until Ctrl-C."""
    from restorekit.tasks.demo import demo
    prepare_process('none')
    demo([*args.models, *args.checkpoint], host=args.host, port=args.port, browser=not args.no_browser)

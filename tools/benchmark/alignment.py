"""Time CORAL, forward and backward, from Gram matrices against dense d x d covariances.

Both in float32 on one thread; CPU milliseconds of one call with the gradient of both batches.
"""

from functools import partial

import torch
from common import in_turns, parser, table, write

from restorekit.models.losses import CORALLoss


def dense(source, target):
    """CID's bounded CORAL with both covariances written out."""
    covariances = []
    for x in (source, target):
        centred = x - x.mean(dim=0)
        covariances.append(centred.mT @ centred / (len(x) - 1))
    return -torch.expm1(-(covariances[0] - covariances[1]).square().sum() / (4 * source.shape[1] ** 2))


def repeated(loss, source, target, calls):
    for _ in range(calls):
        torch.autograd.grad(loss(source, target), (source, target))


def main():
    options = parser(__doc__, rounds=9)
    options.add_argument('--calls', type=int, default=50, help='calls in each round (default 50)')
    args = options.parse_args()
    torch.set_num_threads(1)
    rows, figures = [['n', 'd', 'dense', 'CORALLoss', 'times faster', 'relative difference of the gradient']], []
    for n, d in ((8, 1024), (16, 1024), (32, 1024), (16, 256)):
        generator = torch.Generator().manual_seed(0)
        source = torch.randn(n, d, generator=generator).requires_grad_()
        target = (1.5 * torch.randn(n, d, generator=generator)).requires_grad_()
        ours = CORALLoss()
        gradients = [torch.autograd.grad(loss(source, target), source)[0] for loss in (dense, ours)]
        difference = ((gradients[0] - gradients[1]).norm() / gradients[0].norm()).item()

        times = in_turns(dict(dense=partial(repeated, dense, source, target, args.calls),
                              ours=partial(repeated, ours, source, target, args.calls)), args.rounds)
        a, b = (1e3 * times[name] / args.calls for name in ('dense', 'ours'))
        figures.append(dict(n=n, d=d, dense_ms=a, ours_ms=b, ratio=a / b, difference=difference))
        rows.append([n, d, f'{a:.2f} ms', f'{b:.3f} ms', f'{a / b:.1f}', f'{difference:.1e}'])
    table(rows)
    write(args.json, coral=figures)


if __name__ == '__main__':
    main()

"""Time the decorrelation reweighter against dense covariances with autograd, and as part of a training step.

First table: one call on n = 32 samples of d = 1024 dimensions with 5 maps, a bank of 128 and 20 steps, in float32 on
one thread, CPU milliseconds. The reference minimises the same objective as the equations state it: weighted d x d
covariances of every map, their off-diagonal squares, autograd, SGD with momentum.

Second table: the share of the reweighter in a training step of cid_res2net101 at n = 16 and crops of 256 with the
encoder frozen, as in the phase that reweights. Where such a step does not fit it is measured at a smaller batch and
crop and scaled by the number of pixels; a second, smaller crop shows how far the time is proportional to them. The
reweighter itself is timed at n = 16, d = 1024 as is. With --device cuda the step is measured whole, in wall-clock time.
"""

import math
import time
from functools import partial

import torch
from common import in_turns, parser, table, write
from mmengine.registry import DefaultScope

from restorekit.config import load_config
from restorekit.models.losses import DecorrelationReweighter
from restorekit.random import derive_seed
from restorekit.registry import MODELS

PENALTY = 1e-3  # small enough to move the weights beside a bank


def features(n, d, seed=0):
    """Correlated, sparse rows, as pooled activations are."""
    generator = torch.Generator().manual_seed(seed)
    return torch.relu(torch.randn(n, 8, generator=generator) @ torch.randn(8, d, generator=generator))


def maps_of(rows, num_maps, seed):
    """Random Fourier features of standardised dimensions, drawn as the reweighter does."""
    generator = torch.Generator().manual_seed(seed)
    d = rows.shape[1]
    omega = torch.randn(num_maps, 1, d, generator=generator)
    phi = torch.rand(num_maps, 1, d, generator=generator) * (2 * math.pi)
    centred = rows - rows.mean(dim=0)
    return math.sqrt(2) * torch.cos(omega * (centred / (centred.square().mean(dim=0).sqrt() + 1e-5)) + phi)


def reference(batch, bank, num_maps, steps, penalty, resample):
    """Weights by the equations as they stand."""
    rows = torch.cat([batch, bank])
    n, d = batch.shape
    theta = torch.zeros(n, requires_grad=True)
    optimizer = torch.optim.SGD([theta], lr=1.0, momentum=0.9)
    for step in range(steps):
        if step == 0 or resample == 'step':
            maps = maps_of(rows, num_maps, derive_seed(0, 0, step))
        optimizer.param_groups[0]['lr'] = 1.0 if 2 * step < steps else 0.1
        a = torch.cat([theta, torch.zeros(len(bank))]).softmax(0)
        objective = 0
        for z in maps:
            mean = a @ z
            covariance = (a[:, None] * z).mT @ z - mean[:, None] * mean
            objective = objective + covariance.square().sum() - covariance.diagonal().square().sum()
        loss = objective / (num_maps * d * (d - 1)) / penalty + theta.softmax(0).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return theta.detach().softmax(0)


def against_reference(args):
    batch, bank = features(args.n, args.d), features(args.bank, args.d, seed=1)
    rows = [['maps drawn', 'd x d with autograd', 'DecorrelationReweighter', 'times faster', 'n w', 'max |difference|']]
    figures = {}
    for resample in ('call', 'step'):
        reweighter = DecorrelationReweighter(num_maps=args.maps, steps=args.steps, penalty=PENALTY, bank_size=args.bank,
                                             embedding_dim=args.d, resample=resample, clip=None).eval()
        reweighter.remember(bank)
        functions = dict(dense=partial(reference, batch, bank, args.maps, args.steps, PENALTY, resample),
                         ours=partial(reweighter, batch))
        weights = functions['dense']()
        difference = args.n * (weights - functions['ours']()).abs().max().item()
        times = in_turns(functions, args.rounds)
        ratio = times['dense'] / times['ours']
        figures[resample] = dict(dense_ms=1e3 * times['dense'], ours_ms=1e3 * times['ours'], ratio=ratio,
                                 difference=difference)
        rows.append([f'once per {resample}', f'{1e3 * times["dense"]:.0f} ms', f'{1e3 * times["ours"]:.1f} ms',
                     f'{ratio:.1f}', f'{args.n * weights.min():.2f} .. {args.n * weights.max():.2f}',
                     f'{difference:.1e}'])
    print(f'n={args.n}, d={args.d}, {args.maps} maps, bank {args.bank}, {args.steps} steps, float32, one thread:\n')
    table(rows)
    return figures


def share_of_a_step(args):
    cfg = load_config('cid/cid_res2net101_1xb32-300k_multi_domain_haze')
    model = MODELS.build(dict(type='CIDRestorer', network=cfg.model.network.to_dict(), frozen=['network.encoder'],
                              losses=dict(pixel=dict(type='L1Loss')))).to(args.device)
    model.train()
    network, d = model.network, model.network.embedding_dim
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad])
    clock = time.process_time if args.device == 'cpu' else synchronised

    def step(batch, crop):
        images = torch.rand(2, batch, 3, crop, crop, device=args.device)

        def run():
            optimizer.zero_grad()
            (network(images[0]) - images[1]).abs().mean().backward()
            optimizer.step()
        return in_turns(dict(run=run), args.step_rounds, clock)['run'] * 16 * 256 ** 2 / (batch * crop ** 2)
    whole, smaller = step(args.step_batch, args.step_crop), step(args.step_batch, args.step_crop // 2)
    print(f'\ncid_res2net101, encoder frozen, on {args.device}, scaled to 16 crops of 256: {whole:.3g} s from '
          f'{args.step_batch} crops of {args.step_crop} ({smaller:.3g} s from crops of {args.step_crop // 2})\n')
    options = {
        'in its config (2 maps, 128 dims, bank 128, target_ess)': cfg.phases.supervised.model.reweighter.to_dict(),
        'defaults with a bank (5 maps, all 1024 dims)': dict(type='DecorrelationReweighter', bank_size=128),
        'the same with target_ess': dict(type='DecorrelationReweighter', bank_size=128, target_ess=0.8),
        'the same, maps drawn at each step': dict(type='DecorrelationReweighter', bank_size=128, target_ess=0.8,
                                                  resample='step')}
    rows, figures = [['reweighter', 'a call', 'share of the step']], {}
    for name, config in options.items():
        reweighter = MODELS.build(dict(config, embedding_dim=d, warmup_iters=0)).eval().to(args.device)
        reweighter.remember(features(128, d, seed=1).to(args.device))
        batch = features(16, d).to(args.device)
        seconds = in_turns(dict(call=partial(reweighter, batch)), args.rounds, clock)['call']
        figures[name] = dict(ms=1e3 * seconds, share=seconds / (seconds + whole))
        rows.append([name, f'{1e3 * seconds:.0f} ms', f'{100 * figures[name]["share"]:.2f} %'])
    table(rows)
    return dict(device=args.device, step_seconds=whole, step_seconds_from_smaller_crops=smaller, reweighters=figures)


def synchronised():
    """Wall-clock time after the GPU is done."""
    torch.cuda.synchronize()
    return time.perf_counter()


def main():
    options = parser(__doc__, rounds=7)
    options.add_argument('--n', type=int, default=32)
    options.add_argument('--d', type=int, default=1024)
    options.add_argument('--maps', type=int, default=5)
    options.add_argument('--bank', type=int, default=128)
    options.add_argument('--steps', type=int, default=20)
    options.add_argument('--step-batch', type=int, default=2, help='batch the training step is measured at (2)')
    options.add_argument('--step-crop', type=int, default=256, help='crop it is measured at (256)')
    options.add_argument('--device', default='cpu', help='where the training step is measured (cpu)')
    options.add_argument('--step-rounds', type=int, default=3, help='0: leave the training step out')
    args = options.parse_args()
    torch.set_num_threads(1)
    with DefaultScope.overwrite_default_scope('restorekit'):
        figures = dict(against_reference=against_reference(args))
        if args.step_rounds:
            figures['training_step'] = share_of_a_step(args)
    write(args.json, **figures)


if __name__ == '__main__':
    main()

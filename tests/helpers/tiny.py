"""A tiny CID that trains in a blink, for the engine's tests."""

import contextlib
import copy
import multiprocessing
import os
import signal

RANDOM_HAZE = dict(type='AtmosphericScattering', beta=(0.5, 2.0))


def scenes(**kwargs):
    """A dataset of small procedural scenes."""
    return dict(dict(type='ProceduralScenes', length=6, height=32, width=32, cache=True, pipeline=[
        dict(type='RandomCrop', size=32), dict(type='RandomFlip'), dict(type='Degrade', degradation=RANDOM_HAZE)]),
        **kwargs)


def config(work_dir, iters=4, interval=2, workers=0, **overrides):
    """A complete config of one plain run (add ``phases`` for several)."""
    cfg = dict(
        default_scope='restorekit', work_dir=str(work_dir), log_level='ERROR',
        model=dict(
            type='CIDRestorer', losses=dict(pixel=dict(type='L1Loss')),
            network=dict(type='EncoderDecoder',
                         encoder=dict(type='Res2Net', stage_blocks=(1, 1, 1), base_channels=8, base_width=16),
                         decoder=dict(type='AffineDecoder', channels=8, head_channels=4))),
        train_dataloader=dict(
            batch_size=2, num_workers=workers, persistent_workers=workers > 0, sampler=dict(type='CounterSampler'),
            dataset=scenes(domain='source')),
        train_cfg=dict(type='ResumableIterLoop', max_iters=iters, val_interval=interval),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
        param_scheduler=[dict(type='CosineAnnealingLR', by_epoch=False)],
        val_dataloader=dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                            dataset=scenes(length=3, scene_seed=9, domain='source')),
        val_cfg=dict(type='ValLoop'), val_evaluator=[dict(type='PSNR')],
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=interval, max_keep_ckpts=2)),
        custom_hooks=[dict(type='StripHook', per_domain=1)],
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        randomness=dict(seed=3))
    cfg.update(copy.deepcopy(overrides))
    return cfg


PAIR = dict(type='DomainPairDataset', source=scenes(domain='source'),
            target=scenes(style='highland', domain='target'))
PHASES = dict(
    pretrain=dict(
        train_dataloader=dict(dataset=PAIR),
        model=dict(consistency=dict(type='MeanTeacherConsistency', loss_weight=0.1, perturbation=RANDOM_HAZE))),
    supervised=dict(
        frozen=['network.encoder'],
        model=dict(reweighter=dict(type='DecorrelationReweighter'))),
    adapt=dict(
        frozen=['network.encoder'],
        train_dataloader=dict(dataset=PAIR),
        model=dict(alignment=dict(type='CORALLoss', loss_weight=0.1), share_interval=1)))


def fork(function, *args, timeout=120, ranks=None):
    """Run ``function(*args)`` in a forked process, or ``function(rank, *args)`` in one per rank; return exit codes.

    A forked process has all imports already, which would take seconds each time. Each leads a process group of its
    own, so that nothing of it outlives the test.
    """
    context = multiprocessing.get_context('fork')
    children = [context.Process(target=_in_group, args=(function, args if ranks is None else (rank, *args)))
                for rank in range(ranks or 1)]
    for child in children:
        child.start()
    try:
        for child in children:
            child.join(timeout)
    finally:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.join()
    codes = [child.exitcode for child in children]
    return codes if ranks is not None else codes[0]


def backward_survives_a_fork():
    """Return whether forked children may call ``backward``: not once torch has started threads for it here."""
    return fork(_backward) == 0


def _backward():
    import torch
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # an error here is the answer
    torch.ones(1, requires_grad=True).sum().backward()


def _in_group(function, args):
    os.setsid()
    function(*args)

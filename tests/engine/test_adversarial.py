"""Adversarial training: two optimizers, phases, resume, EMA."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny import config

from restorekit.checkpoint import load_checkpoint_file
from restorekit.engine import MultiPhaseRunner, ResumableIterLoop
from restorekit.engine.adversarial_optim import AdversarialOptimWrapperConstructor
from restorekit.messages import InputError
from restorekit.models import AdversarialRestorer, Restorer, UNetDiscriminator

MODEL = dict(
    _delete_=True, type='AdversarialRestorer', network=dict(type='AODNet'),
    discriminator=dict(type='UNetDiscriminator', channels=4),
    losses=dict(pixel=dict(type='L1Loss'), gan=dict(type='AdversarialLoss', r1_weight=1.0, loss_weight=0.1)))
OPTIM = dict(optimizer=dict(type='Adam', lr=1e-3), clip_grad=dict(max_norm=1.0),
             paramwise_cfg=dict(discriminator=dict(lr=4e-3, betas=(0.0, 0.9))))


def run(folder, resume=False, iters=4, **overrides):
    cfg = config(folder, iters=iters, interval=2, optim_wrapper=OPTIM, **overrides)
    model = {key: value for key, value in MODEL.items() if key != '_delete_'}
    cfg.update(model=model, phases=dict(first={}, second=dict(init_from='first')))
    cfg['custom_hooks'] = [dict(type='EMAHook', momentum=0.1)]
    with DefaultScope.overwrite_default_scope('restorekit'):
        runner = MultiPhaseRunner(Config(cfg, format_python_code=False), resume=resume)
        runner.train()
    return {phase: load_checkpoint_file(folder / phase / f'iter_{iters}.pth') for phase in ('first', 'second')}


def test_the_generator_follows_its_loss_and_the_discriminator_its_own():
    torch.manual_seed(0)
    restorer = AdversarialRestorer(**{k: v for k, v in MODEL.items() if k not in ('_delete_', 'type')})
    wrapper = AdversarialOptimWrapperConstructor(dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
                                                 dict(discriminator=dict(lr=0.5)))(restorer)
    assert [group['lr'] for w in wrapper.values() for group in w.param_groups] == [0.1, 0.5]
    owned = {name: {id(p) for group in w.param_groups for p in group['params']} for name, w in wrapper.items()}
    assert owned['discriminator'] == {id(p) for p in restorer.discriminator.parameters()}
    assert owned['network'] == {id(p) for p in restorer.network.parameters()}
    pred, gt = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    pred.requires_grad_()
    losses = restorer.supervised_losses(pred, gt, extras=restorer.extras(pred, None))
    assert set(losses) == {'loss_pixel', 'loss_gan', 'loss_discriminator', 'loss_r1'}
    # the generator's loss leaves the discriminator alone, and the other way round
    losses['loss_gan'].backward()
    assert pred.grad.any() and all(p.grad is None for p in restorer.discriminator.parameters())
    pred.grad = None
    (losses['loss_discriminator'] + losses['loss_r1']).backward()
    assert pred.grad is None and any(p.grad.any() for p in restorer.discriminator.parameters())


@pytest.mark.slow
def test_it_trains_through_phases_and_resumes_to_the_same_bits(tmp_path):
    whole = run(tmp_path / 'whole')
    assert set(whole['second']['optimizer']) == {'network', 'discriminator'}
    assert set(whole['second']['param_schedulers']) == {'network', 'discriminator'}
    first, second = (whole[phase]['state_dict'] for phase in ('first', 'second'))
    names = {name.split('.')[0] for name in first}
    assert names == {'network', 'discriminator'}
    assert not all(torch.equal(first[name], second[name]) for name in first)
    original = ResumableIterLoop.run_iter

    def stop(self, batch):
        if self.runner.work_dir.endswith('second') and self._iter == 3:
            raise KeyboardInterrupt
        original(self, batch)
    ResumableIterLoop.run_iter = stop
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / 'stopped')
    finally:
        ResumableIterLoop.run_iter = original
    resumed = run(tmp_path / 'stopped', resume=True)
    for name, value in second.items():
        assert torch.equal(resumed['second']['state_dict'][name], value), name


def test_what_does_not_fit_is_refused():
    network = dict(type='AODNet')
    with pytest.raises(InputError, match='needs a loss that asks for the discriminator.*but got pixel'):
        AdversarialRestorer(network, UNetDiscriminator(4), losses=dict(pixel=dict(type='L1Loss')))
    constructor = AdversarialOptimWrapperConstructor(dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)))
    with pytest.raises(InputError, match='Restorer has no discriminator'):
        constructor(Restorer(network))

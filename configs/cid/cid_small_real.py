# CID's three phases on real images with a network that a CPU can train. The encoder is a Res2Net of a quarter of the
# width with one block per stage; the decoder keeps CID's upward path and ends in a gain and a bias per pixel, which
# can express J = (I - A) / t + A and starts as the identity, so that it is useful after minutes, not days.
# 2 CPU cores:  python tools/train.py configs/cid/cid_small_real.py --data-root DATA
_base_ = ['../_base_/networks/cid_small.py', '../_base_/datasets/multi_domain_haze.py',
          '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='CIDRestorer',
             losses=dict(pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.1)))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=2000, val_interval=1000)
default_hooks = dict(checkpoint=dict(interval=250))

phases = dict(
    pretrain=dict(
        model=dict(consistency=dict(
            type='MeanTeacherConsistency', loss_weight=0.1,
            perturbation=dict(type='AtmosphericScattering', beta=(0.1, 0.6), airlight=(0.6, 1.0))))),
    supervised=dict(
        frozen=['network.encoder'],
        train_dataloader=dict(dataset=dict(target=None)),
        model=dict(reweighter=dict(type='DecorrelationReweighter', num_maps=2, dims=64, bank_size=64, target_ess=0.8))),
    adapt=dict(
        frozen=['network.encoder'],
        train_cfg=dict(max_iters=1000, val_interval=500),
        optim_wrapper=dict(optimizer=dict(lr=3e-4)),
        model=dict(alignment=dict(type='CORALLoss', bounded=True, loss_weight=0.5))))

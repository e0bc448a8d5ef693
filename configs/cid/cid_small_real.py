# CID's three phases on real images with a network that a CPU can train. The encoder is a Res2Net of a quarter of the
# width with one block per stage; the decoder keeps CID's upward path and ends in a gain and a bias per pixel, which
# can express J = (I - A) / t + A and starts as the identity, so that it is useful after minutes, not days.
# 2 CPU cores:  python tools/train.py configs/cid/cid_small_real.py --data-root DATA
_base_ = ['../_base_/networks/cid_small.py', '../_base_/datasets/multi_domain_haze.py',
          '../_base_/phases/cid.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='CIDRestorer',
             losses=dict(pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.1)))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=2000, val_interval=1000)
default_hooks = dict(checkpoint=dict(interval=250))

phases = dict(
    supervised=dict(model=dict(reweighter=dict(dims=64, bank_size=64))),
    adapt=dict(
        train_cfg=dict(max_iters=1000, val_interval=500),
        optim_wrapper=dict(optimizer=dict(lr=3e-4)),
        model=dict(alignment=dict(loss_weight=0.5))))

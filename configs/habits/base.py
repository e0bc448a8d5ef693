# What the other configs of this folder add one habit to: a small network, scenes drawn by code, two phases.
_base_ = ['../_base_/datasets/procedural.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(
    type='Restorer', losses=dict(pixel=dict(type='L1Loss')),
    network=dict(type='EncoderDecoder',
                 encoder=dict(type='Res2Net', stage_blocks=[1, 1, 1], base_channels=16, base_width=16),
                 decoder=dict(type='AffineDecoder', channels=16, head_channels=8)))
train_dataloader = dict(dataset=dict(target=None))
train_cfg = dict(max_iters=60, val_interval=30)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
default_hooks = dict(checkpoint=dict(interval=30))
phases = dict(first=dict(), second=dict())

# Restormer: 26.1 M parameters. The authors' progressive recipe on 8 GPUs, here on RESIDE ITS: crops grow from 128 to
# 384 while batches shrink, and one cosine from 3e-4 to 1e-6 runs over all phases; AdamW, L1, gradients clipped to
# 0.01.
_base_ = ['../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='Restormer'), losses=dict(pixel=dict(type='L1Loss')))
train_dataloader = dict(num_workers=4)
train_cfg = dict(val_interval=4000)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.999), weight_decay=1e-4),
                     clip_grad=dict(max_norm=0.01))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-6, eta_min_ratio=None)]

phases = dict(
    crop_128=dict(train_cfg=dict(max_iters=92000), train_dataloader=dict(
        batch_size=8, dataset=dict(pipeline=dict(crop=dict(size=128))))),
    crop_160=dict(continue_training=True, train_cfg=dict(max_iters=64000), train_dataloader=dict(
        batch_size=5, dataset=dict(pipeline=dict(crop=dict(size=160))))),
    crop_192=dict(continue_training=True, train_cfg=dict(max_iters=48000), train_dataloader=dict(
        batch_size=4, dataset=dict(pipeline=dict(crop=dict(size=192))))),
    crop_256=dict(continue_training=True, train_cfg=dict(max_iters=36000), train_dataloader=dict(
        batch_size=2, dataset=dict(pipeline=dict(crop=dict(size=256))))),
    crop_320=dict(continue_training=True, train_cfg=dict(max_iters=36000), train_dataloader=dict(
        batch_size=1, dataset=dict(pipeline=dict(crop=dict(size=320))))),
    crop_384=dict(continue_training=True, train_cfg=dict(max_iters=24000), train_dataloader=dict(
        batch_size=1, dataset=dict(pipeline=dict(crop=dict(size=384))))))

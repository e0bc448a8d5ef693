# Plain training on a mixture of domains (empirical risk minimisation), which every other method here extends.
# 1 CPU core, half a minute after the features are cached:
# restorekit train configs/domains/erm.py --data-root DATA
_base_ = ['../_base_/datasets/domains.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(losses=dict(pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.1)))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [dict(type='LinearLR', by_epoch=False, start_factor=0.05, end=20),  # without it one seed in three fails
                   dict(type='CosineAnnealingLR', by_epoch=False, begin=20, eta_min_ratio=0.01)]
train_cfg = dict(max_iters=200, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=1), logger=dict(interval=20))
custom_hooks = []
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])

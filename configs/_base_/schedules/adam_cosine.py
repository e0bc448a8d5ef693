train_cfg = dict(type='ResumableIterLoop', max_iters=100000, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999)),
    clip_grad=dict(max_norm=1.0))
# ends at max_iters
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, eta_min_ratio=0.01)]

train_cfg = dict(type='ResumableIterLoop', max_iters=2400, val_interval=400)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='AmpOptimWrapper', dtype='bfloat16',
    optimizer=dict(type='AdamW', lr=1.5e-3, betas=(0.9, 0.98), weight_decay=0.01),
    clip_grad=dict(max_norm=1.0))
param_scheduler = [dict(type='LinearLR', by_epoch=False, start_factor=0.02, end=100),
                   dict(type='CosineAnnealingLR', by_epoch=False, begin=100, eta_min_ratio=0.02)]

# Plain training, then a phase with the batches that alignment needs: 128 source and 128 target images, cached.
_base_ = ['erm.py']

phases = dict(
    train=dict(train_cfg=dict(max_iters=120, val_interval=120)),
    adapt=dict(
        train_dataloader=dict(batch_size=128), train_cfg=dict(max_iters=16, val_interval=16),
        param_scheduler=[dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=4),
                         dict(type='CosineAnnealingLR', by_epoch=False, begin=4, eta_min_ratio=0.01)]))

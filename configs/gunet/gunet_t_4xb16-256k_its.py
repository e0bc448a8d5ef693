# gUNet-T: 0.84 M parameters. The authors' recipe on RESIDE ITS: 1,000 epochs of 16,384 samples in batches of 64,
# AdamW at 8e-4 (1.6e-3 at 128), cosine after a warm-up, L1 in [-1, 1], which is twice that in [0, 1].
_base_ = ['../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='GUNet', depths=(2, 2, 2, 4, 2, 2, 2)),
             losses=dict(pixel=dict(type='L1Loss', loss_weight=2.0)))
train_dataloader = dict(batch_size=16, num_workers=8)
train_cfg = dict(max_iters=256000, val_interval=12800)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=8e-4, weight_decay=0.01))
param_scheduler = [dict(type='LinearLR', start_factor=1e-3, end=12800, by_epoch=False),
                   dict(type='CosineAnnealingLR', begin=12800, by_epoch=False, eta_min_ratio=1e-3)]

# DehazeFormer-T: 0.69 M parameters. The authors' recipe on RESIDE ITS: 300 epochs in batches of 32, AdamW at 4e-4,
# cosine to 1 %, L1 in [-1, 1], which is twice that in [0, 1].
_base_ = ['../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='DehazeFormer', depths=(4, 4, 4, 2, 2), attention=(0, 0.5, 1, 0, 0)),
             losses=dict(pixel=dict(type='L1Loss', loss_weight=2.0)))
train_dataloader = dict(batch_size=32, num_workers=8)
train_cfg = dict(max_iters=131000, val_interval=4370)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=4e-4, weight_decay=0.01))

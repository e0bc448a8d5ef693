# PromptIR: 35.6 M parameters. The authors' recipe on three degradations: 120 epochs of 142,431 samples in batches of 32
# crops of 128, AdamW at 2e-4, 15 epochs of warm-up and a cosine, L1.
_base_ = ['../_base_/datasets/aio3.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='PromptIR'), losses=dict(pixel=dict(type='L1Loss')))
train_cfg = dict(max_iters=535000, val_interval=4450)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, weight_decay=0.01))
param_scheduler = [dict(type='LinearLR', start_factor=1e-3, end=67000, by_epoch=False),
                   dict(type='CosineAnnealingLR', begin=67000, by_epoch=False, eta_min_ratio=1e-3)]

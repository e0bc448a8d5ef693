# PromptIR: 35.6 M parameters
_base_ = ['../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='PromptIR'), losses=dict(pixel=dict(type='L1Loss')))
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=dict(crop=dict(size=128))))
train_cfg = dict(max_iters=120000, val_interval=5000)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, weight_decay=0.01))

# FFA-Net: 4.46 M parameters, all at full resolution. The authors' recipe on RESIDE ITS: batches of 2 crops of 240,
# Adam at 1e-4 with a cosine to 0, L1.
_base_ = ['../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='FFANet'), losses=dict(pixel=dict(type='L1Loss')))
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=dict(crop=dict(size=240))))
train_cfg = dict(max_iters=500000, val_interval=5000)

# A plain U-Net of 1.9 M parameters, supervised on paired folders.
_base_ = ['../_base_/datasets/paired_folders.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='UNet'), losses=dict(pixel=dict(type='L1Loss')))
train_cfg = dict(max_iters=20000, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=5e-4))

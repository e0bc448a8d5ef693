# AOD-Net on the mixture of data that the model ``haze`` is trained on, in minutes on a CPU: a baseline for bench.
_base_ = ['../_base_/datasets/haze_mixture.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='AODNet'), losses=dict(pixel=dict(type='L1Loss')))
train_cfg = dict(max_iters=600, val_interval=600)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
default_hooks = dict(checkpoint=dict(interval=100))
custom_hooks = []

# Trained on RESIDE ITS, validated and tested on SOTS-indoor: python tools/train.py ... --data-root RESIDE
_base_ = ['../_base_/networks/aod_net.py', '../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py',
          '../_base_/default_runtime.py']

model = dict(type='Restorer', losses=dict(pixel=dict(type='L1Loss')))
train_cfg = dict(max_iters=20000, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=1e-3))

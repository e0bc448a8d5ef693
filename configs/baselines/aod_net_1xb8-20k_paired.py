# A small network in one piece, supervised on paired folders in one plain run: no phases, no second domain.
_base_ = ['../_base_/networks/aod_net.py', '../_base_/datasets/paired_folders.py',
          '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', losses=dict(pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.1)))
train_cfg = dict(max_iters=20000, val_interval=2000)
optim_wrapper = dict(optimizer=dict(lr=1e-3))

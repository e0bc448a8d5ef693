# The model that ships as ``haze``: 192x144 in, a gain, a bias and a colour matrix out, applied at full size.
# 1 CPU core, about an hour:  python tools/train.py configs/haze/haze_prior_1xb8-7k_mixture.py --data-root DATA
_base_ = ['../_base_/networks/low_resolution_affine.py', '../_base_/datasets/haze_mixture.py',
          '../_base_/default_runtime.py', '../_base_/schedules/adamw_cosine.py']

model = dict(losses=dict(pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.1),
                         chroma=dict(type='ChromaLoss', loss_weight=0.2)))
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=8))
custom_hooks = [dict(type='EMAHook', momentum=0.002)]
train_cfg = dict(max_iters=7000, val_interval=1000)
param_scheduler = [dict(type='LinearLR', by_epoch=False, start_factor=0.02, end=100),
                   dict(type='CosineAnnealingLR', by_epoch=False, begin=100, eta_min_ratio=0.01)]

# ConvIR-B: 8.63 M parameters. The authors' recipe on RESIDE ITS: 300 epochs in batches of 4, Adam at 1e-4, three
# epochs of warm-up, cosine to 1e-6, L1 and 0.1 times the spectrum's L1 at three sizes, gradients clipped to a norm of
# 0.001.
_base_ = ['../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='ConvIR', blocks=8), losses=dict(
    pixel=dict(type='L1Loss'), frequency=dict(type='FrequencyLoss', loss_weight=0.1)))
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=1050000, val_interval=35000)
optim_wrapper = dict(clip_grad=dict(max_norm=0.001))
param_scheduler = [dict(type='LinearLR', start_factor=1e-3, end=10500, by_epoch=False),
                   dict(type='CosineAnnealingLR', begin=10500, by_epoch=False, eta_min=1e-6, eta_min_ratio=None)]

# DEA-Net: 3.65 M parameters once its convolutions are fused, 7.79 M in training. The authors' recipe on RESIDE ITS:
# 500,000 iterations of 16 crops of 256, Adam from 4e-4 to 1e-6, L1 and 0.1 times contrastive regularisation. VGG's
# ImageNet weights are fetched when training starts; --cfg-options model.losses.contrastive=None does without.
_base_ = ['../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='DEANet'), losses=dict(
    pixel=dict(type='L1Loss'), contrastive=dict(type='ContrastiveLoss', loss_weight=0.1)))
train_dataloader = dict(batch_size=16, num_workers=4)
train_cfg = dict(max_iters=500000, val_interval=5000)
optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-6, eta_min_ratio=None)]

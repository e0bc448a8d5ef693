# Raise the learning rate over the first 10 iterations, then lower it along a cosine to a hundredth.
_base_ = 'base.py'
param_scheduler = [dict(type='LinearLR', by_epoch=False, start_factor=0.01, end=10),
                   dict(type='CosineAnnealingLR', by_epoch=False, begin=10, eta_min_ratio=0.01)]

# AdamW without a schedule; needs the package schedulefree. Validation and checkpoints use its averaged weights.
_base_ = 'base.py'
optim_wrapper = dict(optimizer=dict(
    _delete_=True, type='AdamWScheduleFree', lr=5e-3, betas=(0.9, 0.999), warmup_steps=10))
param_scheduler = []

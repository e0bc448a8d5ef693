# Keep the best checkpoint of two metrics, one of which is better where it is smaller; go on from the first.
_base_ = 'base.py'
val_evaluator = [dict(type='PSNR'), dict(type='MAE')]
default_hooks = dict(checkpoint=dict(save_best=['PSNR', 'MAE']))
phases = dict(second=dict(init_from='best'))

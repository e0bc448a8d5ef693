# Validated on what is tested.
_base_ = ['test.py']
val_dataloader = dict(batch_size=1, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM')]

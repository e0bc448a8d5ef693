# Whole images, one by one, in order. A dataset's base adds the dataset.
test_dataloader = dict(batch_size=1, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=False))
test_evaluator = [dict(type='PSNR'), dict(type='SSIM')]

# Hazy and clear images in folders: train/hazy, train/clear, val/hazy, val/clear below the data root.
train_dataloader = dict(
    batch_size=8, num_workers=1, persistent_workers=True,
    sampler=dict(type='CounterSampler'),
    dataset=dict(
        type='PairedDataset', input_dir='train/hazy', gt_dir='train/clear', pairing='stem', domain='train',
        pipeline=[dict(type='RandomCrop', size=128), dict(type='RandomFlip')]))
val_dataloader = dict(
    batch_size=1, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='PairedDataset', input_dir='val/hazy', gt_dir='val/clear', pairing='stem', domain='val'))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM')]
test_dataloader = val_dataloader
test_evaluator = val_evaluator

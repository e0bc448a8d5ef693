# Validation sets of the mixture that ``haze`` is trained on, for restorekit bench: 19 pairs that nothing was trained on.
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', datasets=dict(
        indoor=dict(type='PairedDataset', input_dir='sots_indoor/hazy', gt_dir='sots_indoor/clear', pairing='prefix',
                    include='143?_*', domain='indoor, rendered haze'),
        outdoor=dict(type='PairedDataset', input_dir='ohaze_512/hazy', gt_dir='ohaze_512/clear',
                     include=['s28.*', 's29.*', 's3?.*'], domain='outdoor, real haze'),
        unseen=dict(type='PairedDataset', input_dir='real_haze_figures/hazy', gt_dir='real_haze_figures/clear',
                    include=['nh_haze*', 'dense_haze*'], domain='real haze of unseen kinds'))))
test_evaluator = [dict(type='PSNR'), dict(type='SSIM')]

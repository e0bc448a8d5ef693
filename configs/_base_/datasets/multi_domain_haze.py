# Source: SOTS-indoor scenes with depth, CamVid with pseudo-depth, BSDS500 without; degraded on the fly to every kind of
# real-world scene. Target: real photos, unlabelled. Paths are relative to the data root.
_base_ = ['../degradations/cid_multi_domain.py']

view = dict(  # a wider view first, so that crops of 128 show more of the scene
    view=dict(type='RandomCrop', size=256), scale=dict(type='RandomResize', scale=(0.5, 1.0)),
    crop=dict(type='RandomCrop', size=128), flip=dict(type='RandomFlip'))
degraded_view = dict(**view, degrade=dict(type='Degrade', degradation={{_base_.degradation}}))

train_dataloader = dict(
    batch_size=8, num_workers=1, persistent_workers=True,
    sampler=dict(type='CounterSampler'),
    dataset=dict(
        type='DomainPairDataset',
        source=dict(
            type='ConcatDataset', weights=dict(sots=0.4, camvid=0.3, bsds=0.3),
            datasets=dict(
                sots=dict(type='ClearDepthDataset', clear_dir='sots_indoor/clear', depth_dir='sots_indoor/depth',
                          include='14[0-2]?.png', domain='source', cache=True, pipeline=degraded_view),
                # depth coded as z = 80^v, 1 to 80; at this scale beta = 1.5 looks like road fog
                camvid=dict(type='ClearDepthDataset', clear_dir='clean/camvid/images',
                            depth_dir='clean/camvid/pseudo_depth', depth=dict(log_base=80.0, scale=0.04),
                            domain='source', cache=True, pipeline=degraded_view),
                bsds=dict(type='ClearDepthDataset', clear_dir='clean/bsds500', domain='source', cache=True,
                          pipeline=degraded_view))),
        target=dict(
            type='SingleDataset', domain='target', cache=True, pipeline=view,
            image_dir=['real_hazy/dawn_fog', 'real_hazy/web', 'real_hazy/night', 'real_hazy/sand_dust'])))
val_dataloader = dict(
    batch_size=1, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', datasets=dict(
        sots_indoor=dict(type='PairedDataset', input_dir='sots_indoor/hazy', gt_dir='sots_indoor/clear',
                         pairing='prefix', include='143?_*.png', domain='sots_indoor'),
        sand_dust=dict(type='PairedDataset', input_dir='sand_pairs/hazy', gt_dir='sand_pairs/clear', pairing='stem',
                       include=['s2[89]_*', 's3[0-3]_*'], domain='sand_dust'))))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM')]
test_dataloader = val_dataloader
test_evaluator = val_evaluator

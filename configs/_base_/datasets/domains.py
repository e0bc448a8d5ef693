# Eight domains, each with pairs to train on and pairs of other scenes to test on. Whole views at 96x64, the size that
# low_resolution_small looks at, drawn once with the encoder's features; tests are at full size. No scene is in two
# domains: BSDS500 is divided by the last digit of the name, the clear photos by a digit of their class, CamVid by drive.
# tools/research/split_lists.py DATA writes lists/ (validation: every third file). Paths are relative to the data root.
_base_ = ['../networks/low_resolution_small.py']

view = dict(type='RandomResizedCrop', size=[64, 96], scale=[0.5, 1.0])
flip = dict(type='RandomFlip')
cached = dict(type='CachedFeatures', dataset=None, network={{_base_.model.network}}, cache='work_dirs/features')

indoor_haze = dict(type='Degrade', degradation=dict(
    type='AtmosphericScattering', beta=(0.5, 1.7), airlight=(0.85, 1.0)))
outdoor_haze = dict(type='Degrade', degradation=dict(type='OneOf', children=[
    dict(type='AtmosphericScattering', beta=(0.5, 2.5), airlight=(0.6, 1.0), airlight_jitter=0.025),
    dict(type='NonHomogeneousHaze', beta=(0.6, 2.2), airlight=(0.65, 1.0), airlight_jitter=0.025)]))
road_fog = dict(type='Degrade', degradation=dict(
    type='AtmosphericScattering', beta=(0.02, 0.1), airlight=(0.6, 1.0), airlight_jitter=0.02))
dust = dict(type='Degrade', degradation=dict(type='Dust', beta=(0.5, 2.2)))
night = dict(type='Degrade', degradation=dict(type='NightHaze'))
low_light = dict(type='Degrade', degradation=dict(type='Sequential', children=[
    dict(type='LowLight', gamma=(1.3, 2.5), gain=(0.5, 1.0)), dict(type='PoissonGaussianNoise', sigma=(0.5, 4.0))]))
water = dict(type='Degrade', degradation=dict(type='Underwater'))

sots = dict(type='ClearDepthDataset', clear_dir='sots_indoor/clear', depth_dir='sots_indoor/depth')
camvid = dict(type='ClearDepthDataset', clear_dir='clean/camvid/images', depth_dir='clean/camvid/pseudo_depth',
              depth=dict(log_base=80.0))
bsds = dict(type='ClearDepthDataset', clear_dir='clean/bsds500/train')
bsds_test = dict(type='ClearDepthDataset', clear_dir='clean/bsds500/val')
photos = dict(type='ClearDepthDataset', clear_dir='clear_photos/imagenet', ann_file='lists/imagenet_train.txt')
photos_test = dict(type='ClearDepthDataset', clear_dir='clear_photos/imagenet', ann_file='lists/imagenet_val.txt')
ohaze = dict(type='PairedDataset', input_dir='ohaze_512/hazy', gt_dir='ohaze_512/clear')
tinted = dict(type='PairedDataset', input_dir='sand_pairs/hazy', gt_dir='sand_pairs/clear')
lamps = dict(type='PairedDataset', input_dir='night_glow_pairs/glow', gt_dir='night_glow_pairs/clear')
sea = dict(type='PairedDataset', input_dir='underwater_pairs/input', gt_dir='underwater_pairs/clear')

parts = dict(
    indoor=dict(cached, copies=8, domain='indoor', dataset=dict(
        sots, include='14[012]?.png', pipeline=dict(view=view, flip=flip, degrade=indoor_haze))),
    outdoor=dict(cached, copies=3, domain='outdoor', dataset=dict(
        bsds, include='*[0-3].jpg', pipeline=dict(view=view, flip=flip, degrade=outdoor_haze))),
    ohaze=dict(cached, copies=8, domain='ohaze', dataset=dict(
        ohaze, include=['s[01]?.*', 's2[0-7].*'], pipeline=dict(view=view, flip=flip))),
    tinted=dict(cached, copies=8, domain='tinted', dataset=dict(
        tinted, include=['s[01]?_full*', 's2[0-7]_full*'], pipeline=dict(view=view, flip=flip))),
    fog=dict(cached, copies=1, domain='fog', dataset=dict(
        camvid, include=['0001TP*', '0006R0*', '0016E5*'], pipeline=dict(view=view, flip=flip, degrade=road_fog))),
    dust=dict(cached, copies=4, domain='dust', dataset=dict(
        bsds, include='*[4-6].jpg', pipeline=dict(view=view, flip=flip, degrade=dust))),
    night=dict(cached, copies=2, domain='night', dataset=dict(
        photos, include='n???????[0-4]_*', pipeline=dict(view=view, flip=flip, degrade=night))),
    low_light=dict(cached, copies=2, domain='low_light', dataset=dict(
        photos, include='n???????[5-9]_*', pipeline=dict(view=view, flip=flip, degrade=low_light))),
    underwater=dict(cached, copies=4, domain='underwater', dataset=dict(
        bsds, include='*[7-9].jpg', pipeline=dict(view=view, flip=flip, degrade=water))))

train_dataloader = dict(
    batch_size=16, num_workers=0, sampler=dict(type='CounterSampler'),
    dataset=dict(
        type='DomainPairDataset',
        source=dict(  # every domain as often as every other
            type='ConcatDataset', datasets=parts,
            weights=dict(indoor=1.0, outdoor=1.0, ohaze=1.0, tinted=1.0, fog=1.0, dust=1.0, night=1.0, low_light=1.0,
                         underwater=1.0)),
        target=dict(  # unlabelled: real photos, or in a study the inputs of the domain that is left out
            type='ConcatDataset', weights=dict(photos=1.0), datasets=dict(
                **parts, photos=dict(cached, copies=1, domain='target', dataset=dict(
                    type='SingleDataset', image_dir=['real_hazy/dawn_fog', 'real_hazy/sand_dust', 'real_hazy/web'],
                    pipeline=dict(view=view, flip=flip)))))))

val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', datasets=dict(
        indoor=dict(type='PairedDataset', input_dir='sots_indoor/hazy', gt_dir='sots_indoor/clear', pairing='prefix',
                    include='143?_*.png', domain='indoor'),
        outdoor=dict(bsds_test, include='1*0.jpg', domain='outdoor', pipeline=[outdoor_haze]),
        ohaze=dict(ohaze, include=['s2[89].*', 's3[0-3].*'], domain='ohaze'),
        tinted=dict(tinted, include=['s2[89]_full*', 's3[0-3]_full*'], domain='tinted'),
        fog=dict(camvid, include='Seq05VD_f0[0-4][06]*', domain='fog', pipeline=[road_fog]),
        dust=dict(bsds_test, include='*5.jpg', domain='dust', pipeline=[dust]),
        night=dict(photos_test, include='n???????0_*', domain='night', pipeline=[night]),
        glow=dict(lamps, ann_file='lists/glow_val.txt', domain='glow'),
        low_light=dict(photos_test, include='n0[1-3]*5_*', domain='low_light', pipeline=[low_light]),
        underwater=dict(bsds_test, include='1*7.jpg', domain='underwater', pipeline=[water]),
        sea=dict(sea, include=['05.*', '11.*', '16.*', '21.*'], domain='sea'))))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM')]
test_dataloader = val_dataloader
test_evaluator = val_evaluator

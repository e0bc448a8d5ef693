# Many kinds of haze at 192x144, the size LowResolutionAffine looks at. Depth: SOTS-indoor scenes, rooms and streets drawn
# by code, road photos, an invented depth. Real haze: O-HAZE pairs and fields fitted on them. Tints, dust, glow at night.
# Clear photos that should stay as they are. tools/research/split_lists.py DATA writes lists/.
view = dict(type='RandomResizedCrop', size=[144, 192], scale=[0.5, 1.0])
flip = dict(type='RandomFlip')
# where haze is thick and thin in places, the layout of 30 scenes cannot be learnt by heart
indoor_haze = dict(type='Degrade', transmission=True, degradation=dict(
    type='OneOf', weights=[0.65, 0.2, 0.15], children=[
        dict(type='AtmosphericScattering', beta=(0.4, 1.8), airlight=1.0),
        dict(type='AtmosphericScattering', beta=(0.4, 2.0), airlight=(0.7, 1.0), airlight_jitter=0.04),
        dict(type='NonHomogeneousHaze', beta=(0.5, 1.8), contrast=(0.1, 0.6), depth_floor=(0., 0.2), airlight=1.0)]))
outdoor_haze = dict(type='Degrade', transmission=True, degradation=dict(type='OneOf', weights=[0.6, 0.4], children=[
    dict(type='AtmosphericScattering', beta=(0.4, 3.0), airlight=(0.65, 1.0), airlight_jitter=0.05),
    dict(type='NonHomogeneousHaze', beta=(0.5, 2.5), airlight=(0.65, 1.0), airlight_jitter=0.05)]))
still = dict(type='RandomColour', exposure=[0.75, 1.1], gain=0.06, saturation=[0.7, 1.4])
colourful = dict(type='RandomColour', exposure=[0.6, 1.1], gain=0.06, saturation=[0.8, 1.5])
# a light tint of a clear photo is the light of the scene: it stays
warm = dict(type='RandomColour', exposure=[0.5, 1.1], gain=0.05, warmth=[-0.15, 0.35], saturation=[0.8, 1.6])
# lamplight at night is the colour of the scene
lamplight = dict(type='RandomColour', exposure=[0.4, 1.1], warmth=[-0.1, 0.85])
night_glow = dict(type='Degrade', degradation=dict(type='Maybe', p=0.8, child=dict(type='NightGlow')))
tint = dict(type='OneOf', weights=[0.7, 0.3], children=[
    dict(type='ColourGain', red=(1.3, 1.9), blue=(0.1, 0.6)), dict(type='ColourGain', red=(0.7, 1.2), blue=(0.6, 1.3))])
imagenet = dict(type='ClearDepthDataset', clear_dir='clear_photos/imagenet', ann_file='lists/imagenet_train.txt',
                cache=True)
bsds = dict(type='ClearDepthDataset', clear_dir='clean/bsds500/train', cache=True)
field = dict(type='HazeField', hazy_dir='ohaze_512/hazy', clear_dir='ohaze_512/clear', density=(0.5, 1.6),
             exclude=['s28', 's29', 's30', 's31', 's32', 's33'])
ohaze = dict(type='PairedDataset', input_dir='ohaze_512/hazy', gt_dir='ohaze_512/clear', cache=True,
             include=['s[01]?.*', 's2[0-7].*'])

train_dataloader = dict(
    batch_size=8, num_workers=0, sampler=dict(type='CounterSampler'),
    dataset=dict(
        type='ConcatDataset',
        weights=dict(sots=0.38, rooms=0.04, city=0.01, highland=0.01, proxy=0.03, ohaze=0.10, ohaze_tinted=0.03, sand=0.09,
                     field=0.07, field_bsds=0.03, road=0.03, dust=0.02, clear=0.10, clear_bsds=0.02, glow_pairs=0.01,
                     glow=0.02, city_night=0.01),
        datasets=dict(
            sots=dict(type='ClearDepthDataset', clear_dir='sots_indoor/clear', depth_dir='sots_indoor/depth', cache=True,
                      include='14[012]?.png', pipeline=[view, flip, still, indoor_haze]),
            rooms=dict(type='ProceduralScenes', style='room', length=300, height=192, width=256, scene_seed=11,
                       cache=True, pipeline=[view, flip, still, indoor_haze]),
            city=dict(type='ProceduralScenes', style='city', length=60, height=192, width=256, scene_seed=12, cache=True,
                      pipeline=[view, flip, still, outdoor_haze]),
            highland=dict(type='ProceduralScenes', style='highland', length=40, height=192, width=256, scene_seed=13,
                          cache=True, pipeline=[view, flip, still, outdoor_haze]),
            proxy=dict(imagenet, pipeline=[view, flip, colourful, outdoor_haze]),
            ohaze=dict(ohaze, pipeline=[view, flip, colourful, dict(type='MixDensity', prob=0.4)]),
            ohaze_tinted=dict(ohaze, pipeline=[view, flip, dict(type='RandomColour', keys=['inputs'], gain=0.1,
                                                                warmth=[0.3, 0.85])]),
            sand=dict(type='PairedDataset', input_dir='sand_pairs/hazy', gt_dir='sand_pairs/clear', cache=True,
                      include=['s[01]?_*', 's2[0-7]_*'], pipeline=[view, flip]),
            field=dict(imagenet, pipeline=[view, flip, colourful, dict(
                type='Degrade', degradation=dict(type='Sequential', children=[
                    field, dict(type='Maybe', p=0.25, child=tint)]))]),
            field_bsds=dict(bsds, pipeline=[view, flip, colourful, dict(
                type='Degrade', transmission=True, degradation=field)]),
            road=dict(type='ClearDepthDataset', clear_dir='clean/camvid/images', depth_dir='clean/camvid/pseudo_depth',
                      depth=dict(log_base=80.0), cache=True, pipeline=[view, flip, colourful, dict(
                          type='Degrade', transmission=True, degradation=dict(
                              type='AtmosphericScattering', beta=(0.01, 0.09), airlight=(0.6, 1.0),
                              airlight_jitter=0.03))]),
            dust=dict(bsds, pipeline=[view, flip, colourful, dict(type='Degrade', degradation=dict(type='Dust'))]),
            clear=dict(imagenet, pipeline=[view, flip, warm, dict(type='Degrade', degradation=dict(
                type='AtmosphericScattering', beta=(0.0, 0.05)))]),
            clear_bsds=dict(bsds, pipeline=[view, flip, warm, dict(type='Degrade', degradation=dict(
                type='AtmosphericScattering', beta=(0.0, 0.05)))]),
            glow_pairs=dict(type='PairedDataset', input_dir='night_glow_pairs/glow', gt_dir='night_glow_pairs/clear',
                            ann_file='lists/glow_train.txt', cache=True, pipeline=[view, flip]),
            glow=dict(type='ClearDepthDataset', clear_dir='lowlight_real', ann_file='lists/lowlight_train.txt', cache=True,
                      pipeline=[view, flip, lamplight, night_glow]),
            city_night=dict(type='ProceduralScenes', style='city_night', length=60, height=192, width=256,
                            scene_seed=14, cache=True, pipeline=[view, flip, lamplight, night_glow]))))
pairs = dict(
    sots=dict(type='PairedDataset', input_dir='sots_indoor/hazy', gt_dir='sots_indoor/clear', pairing='prefix',
              domain='sots'),
    ohaze=dict(type='PairedDataset', input_dir='ohaze_512/hazy', gt_dir='ohaze_512/clear', domain='ohaze',
               include=['s28.*', 's29.*', 's3?.*']),
    tinted=dict(type='PairedDataset', input_dir='sand_pairs/hazy', gt_dir='sand_pairs/clear', domain='tinted',
                include=['s28_full.*', 's29_full.*', 's3?_full.*']),
    # the other images there are O-HAZE scenes of the training part at figure size
    unseen=dict(type='PairedDataset', input_dir='real_haze_figures/hazy', gt_dir='real_haze_figures/clear',
                include=['nh_haze*', 'dense_haze*'], domain='unseen'),
    glow=dict(type='PairedDataset', input_dir='night_glow_pairs/glow', gt_dir='night_glow_pairs/clear', domain='glow',
              ann_file='lists/glow_val.txt'))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', datasets=pairs))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM'), dict(type='ChromaError')]
# the lightest haze of SOTS, and clear photos, which should stay as they are
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', datasets=dict(
        **pairs,
        light=dict(type='ClearDepthDataset', clear_dir='sots_indoor/clear', depth_dir='sots_indoor/depth',
                   include='143?.png', domain='light',
                   pipeline=[dict(type='Degrade', degradation=dict(type='AtmosphericScattering', beta=0.6, airlight=1.0))]),
        clear=dict(type='ClearDepthDataset', clear_dir='clear_photos/imagenet', ann_file='lists/imagenet_val.txt',
                   domain='clear', pipeline=[dict(type='Degrade', degradation=dict(type='AtmosphericScattering',
                                                                                   beta=0.0))]))))
test_evaluator = val_evaluator

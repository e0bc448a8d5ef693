# Scenes rendered by code. Source: streets under grey and coloured haze, with ground truth. Target, the "real" domain:
# hills under patchy haze and dust, without.
source_haze = dict(type='OneOf', weights=[0.6, 0.4], children=[
    dict(type='AtmosphericScattering', beta=(1.5, 4.0), airlight=(0.75, 1.0)),
    dict(type='AtmosphericScattering', beta=(1.0, 3.0), airlight=(0.7, 1.0), airlight_saturation=(0.1, 0.7),
         airlight_hue=(0.03, 0.2))])
target_haze = dict(type='OneOf', children=[
    dict(type='NonHomogeneousHaze', beta=(1.0, 2.5)), dict(type='Dust', beta=(0.8, 1.8))])
source_view = dict(crop=dict(type='RandomCrop', size=96), flip=dict(type='RandomFlip'),
                   degrade=dict(type='Degrade', degradation=source_haze))
target_view = dict(crop=dict(type='RandomCrop', size=96), flip=dict(type='RandomFlip'),
                   degrade=dict(type='Degrade', degradation=target_haze))

train_dataloader = dict(
    batch_size=8, num_workers=1, persistent_workers=True,
    sampler=dict(type='CounterSampler'),
    dataset=dict(
        type='DomainPairDataset',
        source=dict(type='ProceduralScenes', style='city', length=160, height=160, width=160, scene_seed=1,
                    domain='source', cache=True, pipeline=source_view),
        target=dict(type='ProceduralScenes', style='highland', length=160, height=160, width=160, scene_seed=2,
                    domain='target', cache=True, pipeline=target_view)))
val_dataloader = dict(
    batch_size=4, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', datasets=dict(
        source=dict(type='ProceduralScenes', style='city', length=12, height=160, width=160, scene_seed=101,
                    domain='source', cache=True, pipeline=[dict(type='Degrade', degradation=source_haze)]),
        target=dict(type='ProceduralScenes', style='highland', length=12, height=160, width=160, scene_seed=102,
                    domain='target', cache=True, pipeline=[dict(type='Degrade', degradation=target_haze)]))))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM')]
test_dataloader = val_dataloader
test_evaluator = val_evaluator

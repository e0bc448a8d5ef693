# Scenes rendered by code. Source: streets under a grey or bluish haze, with ground truth. Target, the "real" domain:
# hills under dust, coloured and patchy haze, without.
source_dataset = dict(
    type='ProceduralScenes', style='city', length=160, height=176, width=176, scene_seed=1, domain='source', cache=True,
    pipeline=[
        dict(type='RandomCrop', size=128),
        dict(type='RandomFlip'),
        dict(type='Degrade', degradation=dict(
            type='AtmosphericScattering', beta=(1.5, 4.0), airlight=(0.75, 1.0)))])
target_degradation = dict(
    type='OneOf', children=[
        dict(type='NonHomogeneousHaze', beta=(1.0, 2.5)),
        dict(type='Dust', beta=(0.8, 1.8))])
target_dataset = dict(
    type='ProceduralScenes', style='highland', length=160, height=176, width=176, scene_seed=2, domain='target',
    cache=True,
    pipeline=[
        dict(type='RandomCrop', size=128),
        dict(type='RandomFlip'),
        dict(type='Degrade', degradation=target_degradation)])
train_dataloader = dict(
    batch_size=8, num_workers=1, persistent_workers=True,
    sampler=dict(type='CounterSampler'),
    dataset=dict(type='DomainPairDataset', source=source_dataset, target=target_dataset))
val_dataloader = dict(
    batch_size=4, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', datasets=[
        dict(type='ProceduralScenes', style='city', length=12, height=176, width=176, scene_seed=101, domain='source',
             pipeline=[dict(type='Degrade', degradation=dict(
                 type='AtmosphericScattering', beta=(1.5, 4.0), airlight=(0.75, 1.0)))]),
        dict(type='ProceduralScenes', style='highland', length=12, height=176, width=176, scene_seed=102,
             domain='target', pipeline=[dict(type='Degrade', degradation=target_degradation)])]))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM')]
test_dataloader = val_dataloader
test_evaluator = val_evaluator

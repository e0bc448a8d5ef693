# A network and two domains rendered by code that train in seconds: for trying a study before it is run on data.
_base_ = ['../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

haze = dict(type='Degrade', degradation=dict(type='AtmosphericScattering', beta=(0.8, 2.5)))
dust = dict(type='Degrade', degradation=dict(type='Dust', beta=(0.8, 1.8)))
scenes = dict(type='ProceduralScenes', length=24, height=48, width=48, cache=True)
view = dict(crop=dict(type='RandomCrop', size=32), flip=dict(type='RandomFlip'))

model = dict(
    type='CIDRestorer', losses=dict(pixel=dict(type='L1Loss')),
    network=dict(type='EncoderDecoder',
                 encoder=dict(type='Res2Net', stage_blocks=(1, 1, 1), base_channels=8, base_width=16),
                 decoder=dict(type='AffineDecoder', channels=8, head_channels=4)))
train_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='CounterSampler'),
    dataset=dict(type='DomainPairDataset', source=dict(
        type='ConcatDataset', weights=dict(haze=0.5, dust=0.5), datasets=dict(
            haze=dict(scenes, style='city', scene_seed=1, domain='haze', pipeline=dict(view, degrade=haze)),
            dust=dict(scenes, style='highland', scene_seed=2, domain='dust', pipeline=dict(view, degrade=dust))))))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ConcatDataset', datasets=dict(
        haze=dict(scenes, length=4, style='city', scene_seed=101, domain='haze', pipeline=[haze]),
        dust=dict(scenes, length=4, style='highland', scene_seed=102, domain='dust', pipeline=[dust]))))
val_evaluator = [dict(type='PSNR'), dict(type='SSIM')]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_cfg = dict(max_iters=24, val_interval=12)
default_hooks = dict(checkpoint=dict(interval=12, max_keep_ckpts=1))
custom_hooks = []
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])

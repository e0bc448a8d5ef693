# The smallest study: two methods, two left-out domains, two seeds. Under a minute:
# restorekit study studies/tiny --out work_dirs/tiny_study
base = 'domains/tiny'
hypothesis = 'None: 24 iterations on rendered scenes say nothing of the methods. It shows what a study is.'
analysis = 'PSNR of the left-out domain, with alignment to its unlabelled images minus without.'

place = 'train_dataloader.dataset'
photos = dict(type='ProceduralScenes', length=24, height=48, width=48, cache=True, domain='target')
view = dict(crop=dict(type='RandomCrop', size=32), flip=dict(type='RandomFlip'))
haze = dict(type='Degrade', degradation=dict(type='AtmosphericScattering', beta=(0.8, 2.5)))
dust = dict(type='Degrade', degradation=dict(type='Dust', beta=(0.8, 1.8)))

variants = dict(
    erm=dict(),
    coral=dict(options={'model.alignment': dict(type='CORALLoss', bounded=True, loss_weight=0.1)}))
domains = dict(
    haze=dict(options={
        f'{place}.source.weights.haze': 0.0,
        f'{place}.target': dict(photos, style='city', scene_seed=3, pipeline=dict(view, degrade=haze))}),
    dust=dict(options={
        f'{place}.source.weights.dust': 0.0,
        f'{place}.target': dict(photos, style='highland', scene_seed=4, pipeline=dict(view, degrade=dust))}))
seeds = [0, 1]

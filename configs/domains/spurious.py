# Scenes and hazes that go together: indoor scenes with much yellow haze, outdoor scenes with little white haze, and the
# two other combinations as often as `weights` says. Tested on all four. studies/spurious says what it is for.
_base_ = ['erm.py']

view = dict(type='RandomResizedCrop', size=[64, 96], scale=[0.5, 1.0])
flip = dict(type='RandomFlip')
cached = dict(type='CachedFeatures', network={{_base_.model.network}}, cache='work_dirs/features', copies=8)
white = dict(type='Degrade', degradation=dict(type='AtmosphericScattering', beta=(0.4, 0.8), airlight=(0.85, 1.0)))
yellow = dict(type='Degrade', degradation=dict(
    type='AtmosphericScattering', beta=(1.3, 2.0), airlight=(0.8, 0.95), airlight_saturation=(0.35, 0.5),
    airlight_hue=(0.09, 0.13)))
rooms = dict(type='ClearDepthDataset', clear_dir='sots_indoor/clear', depth_dir='sots_indoor/depth',
             include='14[012]?.png')
nature = dict(type='ClearDepthDataset', clear_dir='clean/bsds500/train', include='*[0-3].jpg')
rooms_test = dict(rooms, include='143?.png')
nature_test = dict(nature, clear_dir='clean/bsds500/val', include='*[0-3].jpg')

train_dataloader = dict(batch_size=64, dataset=dict(target=None, source=dict(
    weights=dict(_delete_=True, indoor_yellow=0.25, indoor_white=0.25, outdoor_white=0.25, outdoor_yellow=0.25),
    datasets=dict(
        _delete_=True,
        indoor_yellow=dict(cached, domain='indoor_yellow', dataset=dict(
            rooms, pipeline=dict(view=view, flip=flip, degrade=yellow))),
        indoor_white=dict(cached, domain='indoor_white', dataset=dict(
            rooms, pipeline=dict(view=view, flip=flip, degrade=white))),
        outdoor_white=dict(cached, copies=3, domain='outdoor_white', dataset=dict(
            nature, pipeline=dict(view=view, flip=flip, degrade=white))),
        outdoor_yellow=dict(cached, copies=3, domain='outdoor_yellow', dataset=dict(
            nature, pipeline=dict(view=view, flip=flip, degrade=yellow)))))))
val_dataloader = dict(dataset=dict(datasets=dict(
    _delete_=True,
    indoor_yellow=dict(rooms_test, domain='indoor_yellow', pipeline=[yellow]),
    indoor_white=dict(rooms_test, domain='indoor_white', pipeline=[white]),
    outdoor_white=dict(nature_test, domain='outdoor_white', pipeline=[white]),
    outdoor_yellow=dict(nature_test, domain='outdoor_yellow', pipeline=[yellow]))))
test_dataloader = val_dataloader

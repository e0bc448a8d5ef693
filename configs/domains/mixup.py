# Mixup of haze densities: each pair becomes one of thinner haze by mixing it with its clear image (Zhang et al., 2018).
_base_ = ['erm.py']

mix = dict(type='MixDensity', alpha=1.0, prob=0.5)
train_dataloader = dict(dataset=dict(source=dict(datasets=dict(
    indoor=dict(dataset=dict(pipeline=dict(mix=mix))),
    outdoor=dict(dataset=dict(pipeline=dict(mix=mix))),
    ohaze=dict(dataset=dict(pipeline=dict(mix=mix))),
    tinted=dict(dataset=dict(pipeline=dict(mix=mix))),
    fog=dict(dataset=dict(pipeline=dict(mix=mix))),
    dust=dict(dataset=dict(pipeline=dict(mix=mix))),
    night=dict(dataset=dict(pipeline=dict(mix=mix))),
    low_light=dict(dataset=dict(pipeline=dict(mix=mix))),
    underwater=dict(dataset=dict(pipeline=dict(mix=mix)))))))

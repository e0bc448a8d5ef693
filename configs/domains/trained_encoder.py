# The encoder learns too. From its ImageNet weights, or with model.network.encoder.features.pretrained=False from scratch.
_base_ = ['erm.py']

model = dict(frozen=[])
train_dataloader = dict(dataset=dict(target=dict(datasets=dict(photos=dict(network=None))), source=dict(datasets=dict(
    indoor=dict(network=None),
    outdoor=dict(network=None),
    ohaze=dict(network=None),
    tinted=dict(network=None),
    fog=dict(network=None),
    dust=dict(network=None),
    night=dict(network=None),
    low_light=dict(network=None),
    underwater=dict(network=None)))))

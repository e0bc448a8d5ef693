# AdaBN (Li et al., 2016): a network with BatchNorm, tested with the statistics of unlabelled photos of the target.
_base_ = ['erm.py']

model = dict(frozen=[], network=dict(
    _delete_=True, type='EncoderDecoder', decoder=dict(type='AffineDecoder', channels=32, head_channels=16),
    encoder=dict(type='Res2Net', stage_blocks=(1, 1, 1), base_channels=16, out_indices=(0, 1, 2))))
custom_hooks = [dict(type='AdaptiveBatchNormHook')]
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

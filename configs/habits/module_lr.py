# A tenth of the learning rate for the encoder, no weight decay in the head of the decoder.
_base_ = 'base.py'
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'network.encoder': dict(lr_mult=0.1), 'decoder.head': dict(decay_mult=0.0)}))

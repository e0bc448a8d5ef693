# A tenth of the learning rate for the encoder, no weight decay for norms.
_base_ = 'base.py'
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01),
                     paramwise_cfg=dict(custom_keys={'network.encoder': dict(lr_mult=0.1)}, norm_decay_mult=0.0))

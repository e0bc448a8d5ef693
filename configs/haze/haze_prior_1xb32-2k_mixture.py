# The model that ships as ``haze``: 192x144 in, a gain, a bias and a colour matrix out, applied at full size.
# 1 CPU core, over an hour:  python tools/train.py configs/haze/haze_prior_1xb32-2k_mixture.py --data-root DATA
_base_ = ['../_base_/networks/low_resolution_affine.py', '../_base_/datasets/haze_mixture.py',
          '../_base_/default_runtime.py', '../_base_/schedules/adamw_cosine.py']

# larger gains than exp(1.2) = 3.3 bring out JPEG blocks in fog; the encoder learns, from its ImageNet weights
model = dict(frozen=[], network=dict(decoder=dict(max_log_gain=1.2)), losses=dict(
    pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.1),
    chroma=dict(type='ChromaLoss', loss_weight=0.2)))
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=2e-3), paramwise_cfg=dict(custom_keys={'network.encoder': dict(lr_mult=0.3)}))
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=8))
custom_hooks = [dict(type='EMAHook', momentum=0.002)]
train_cfg = dict(max_iters=1800, val_interval=600)
param_scheduler = [dict(type='LinearLR', by_epoch=False, start_factor=0.02, end=100),
                   dict(type='CosineAnnealingLR', by_epoch=False, begin=100, eta_min_ratio=0.01)]

phases = dict(
    base=dict(model=dict(network=dict(decoder=dict(max_log_gain=3.0)))),
    fog=dict(  # outdoors once more
        train_cfg=dict(max_iters=150, val_interval=150),
        optim_wrapper=dict(optimizer=dict(lr=5e-4)),
        custom_hooks=[dict(type='EMAHook', momentum=0.01)],
        param_scheduler=[dict(type='LinearLR', by_epoch=False, start_factor=0.02, end=30),
                         dict(type='CosineAnnealingLR', by_epoch=False, begin=30, eta_min_ratio=0.01)],
        train_dataloader=dict(dataset=dict(weights=dict(
            sots=0.33, rooms=0.02, city=0.04, highland=0.02, proxy=0.05, ohaze=0.12, ohaze_tinted=0.03, sand=0.09,
            field=0.07, field_bsds=0.03, road=0.06, dust=0.02, clear=0.07, clear_bsds=0.01, glow_pairs=0.02, glow=0.01,
            city_night=0.01)))))

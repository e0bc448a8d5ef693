# The model that ships as ``haze``: 192x144 in, a gain, a bias and a colour matrix out, applied at full size.
# 1 CPU core, 30 to 90 minutes:  python tools/train.py configs/haze/haze_prior_1xb8-3k_mixture.py --data-root DATA
_base_ = ['../_base_/networks/low_resolution_affine.py', '../_base_/datasets/haze_mixture.py',
          '../_base_/default_runtime.py', '../_base_/schedules/adamw_cosine.py']

model = dict(losses=dict(pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.1),
                         chroma=dict(type='ChromaLoss', loss_weight=0.2)))
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=3))
custom_hooks = [dict(type='EMAHook', momentum=0.002)]

night_view = dict(type='RandomResizedCrop', size=[144, 192], scale=[0.5, 1.0])
flip = dict(type='RandomFlip')
lamplight = dict(type='RandomColour', exposure=[0.4, 1.1], warmth=[-0.1, 0.85])
night_glow = dict(type='Degrade', degradation=dict(type='Maybe', p=0.7, child=dict(type='NightGlow')))

phases = dict(
    base=dict(  # ends before its schedule does
        train_cfg=dict(max_iters=1900),
        param_scheduler=[dict(type='LinearLR', by_epoch=False, start_factor=0.02, end=100),
                         dict(type='CosineAnnealingLR', by_epoch=False, begin=100, end=2400, eta_min_ratio=0.02)]),
    tune=dict(  # more of what is far from its goal: depth of rooms, real haze, clear photos left alone
        train_cfg=dict(max_iters=400),
        optim_wrapper=dict(optimizer=dict(lr=9e-4)),
        param_scheduler=[dict(type='LinearLR', by_epoch=False, start_factor=0.02, end=100),
                         dict(type='CosineAnnealingLR', by_epoch=False, begin=100, end=1100, eta_min_ratio=0.02)],
        train_dataloader=dict(dataset=dict(
            datasets=dict(
                rooms=dict(length=150), city=dict(length=20), highland=dict(length=20),
                # lamplight at night is the colour of the scene
                glow=dict(pipeline=[night_view, flip, lamplight, night_glow]),
                city_night=dict(length=20, pipeline=[night_view, flip, lamplight, night_glow])),
            weights=dict(
                sots=0.34, rooms=0.05, city=0.01, highland=0.01, proxy=0.03, ohaze=0.12, ohaze_tinted=0.05, sand=0.09,
                field=0.05, field_bsds=0.02, road=0.02, dust=0.01, clear=0.12, clear_bsds=0.02, glow_pairs=0.01,
                glow=0.04, city_night=0.01)))),
    polish=dict(  # the same at a learning rate that ends near 0
        train_cfg=dict(max_iters=700),
        optim_wrapper=dict(optimizer=dict(lr=4e-4)),
        train_dataloader=dict(dataset=dict(
            datasets=dict(
                rooms=dict(length=150), city=dict(length=20), highland=dict(length=20),
                glow=dict(pipeline=[night_view, flip, lamplight, night_glow]),
                city_night=dict(length=20, pipeline=[night_view, flip, lamplight, night_glow])),
            weights=dict(
                sots=0.34, rooms=0.05, city=0.01, highland=0.01, proxy=0.03, ohaze=0.13, ohaze_tinted=0.05, sand=0.10,
                field=0.05, field_bsds=0.02, road=0.02, dust=0.01, clear=0.12, clear_bsds=0.02, glow_pairs=0.01,
                glow=0.02, city_night=0.01)))),
    last=dict(  # once more
        train_cfg=dict(max_iters=600),
        optim_wrapper=dict(optimizer=dict(lr=5e-4)),
        train_dataloader=dict(dataset=dict(
            datasets=dict(
                rooms=dict(length=150), city=dict(length=20), highland=dict(length=20),
                glow=dict(pipeline=[night_view, flip, lamplight, night_glow]),
                city_night=dict(length=20, pipeline=[night_view, flip, lamplight, night_glow])),
            weights=dict(
                sots=0.32, rooms=0.05, city=0.01, highland=0.01, proxy=0.03, ohaze=0.16, ohaze_tinted=0.05, sand=0.10,
                field=0.05, field_bsds=0.02, road=0.02, dust=0.01, clear=0.11, clear_bsds=0.02, glow_pairs=0.01,
                glow=0.02, city_night=0.01)))))

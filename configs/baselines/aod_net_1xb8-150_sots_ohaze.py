# AOD-Net on two of the sets that the model ``haze`` is trained on, in minutes on a CPU: a baseline for restorekit bench.
_base_ = ['../_base_/datasets/haze_mixture.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='AODNet'), losses=dict(pixel=dict(type='L1Loss')))
train_dataloader = dict(dataset=dict(
    weights=dict(_delete_=True, sots=0.5, ohaze=0.5),
    datasets=dict(rooms=None, city=None, highland=None, proxy=None, ohaze_tinted=None, sand=None, field=None,
                  field_bsds=None, road=None, dust=None, clear=None, clear_bsds=None, glow_pairs=None, glow=None,
                  city_night=None)))
train_cfg = dict(max_iters=150, val_interval=150)
optim_wrapper = dict(optimizer=dict(lr=4e-3))
default_hooks = dict(checkpoint=dict(interval=50))
custom_hooks = []
val_dataloader = dict(dataset=dict(datasets=dict(tinted=None, unseen=None, glow=None)))

# Stop a phase when two validations in a row were no better than the best by 0.05 dB.
_base_ = 'base.py'
train_cfg = dict(val_interval=10)
custom_hooks = [dict(type='EarlyStoppingHook', monitor='source/PSNR@rgb', patience=2, min_delta=0.05)]

# Mixed precision: bfloat16 on CPUs and new GPUs; without dtype, float16 with a loss scaler on a GPU.
_base_ = 'base.py'
# a dict of another type replaces the base's whole, so the optimizer is said again; restorekit train --amp keeps it
optim_wrapper = dict(_delete_=True, type='AmpOptimWrapper', dtype='bfloat16', optimizer=dict(type='Adam', lr=1e-3))

# Four batches of 2 make one step, as a batch of 8 does.
_base_ = 'base.py'
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(accumulative_counts=4)

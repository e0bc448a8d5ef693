# MSBDN-DFF: 31.4 M parameters. The authors' recipe: 100 epochs in batches of 16 crops of 256, Adam at 1e-4, MSE. The
# authors halve the learning rate every 10 epochs; here it follows a cosine.
_base_ = ['../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='MSBDN'), losses=dict(pixel=dict(type='MSELoss')))
train_dataloader = dict(batch_size=16)
train_cfg = dict(max_iters=87000, val_interval=4370)

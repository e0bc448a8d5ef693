# NAFNet of width 32, 17.1 M parameters, built by spandrel (pip install 'restorekit[foreign]'); the authors' recipe for
# deblurring, on RESIDE ITS: AdamW with a cosine from 1e-3 to 1e-7, PSNR loss.
_base_ = ['../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', losses=dict(psnr=dict(type='PSNRLoss')), network=dict(
    type='SpandrelNetwork', architecture='NAFNet',
    hyperparameters=dict(width=32, middle_blk_num=1, enc_blk_nums=[1, 1, 1, 28], dec_blk_nums=[1, 1, 1, 1])))
train_cfg = dict(max_iters=200000, val_interval=10000)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.9), weight_decay=0.0))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-7, eta_min_ratio=None)]

# Uformer-T; crops are squares of a multiple of 128, built by spandrel; trained like the NAFNet beside it
_base_ = ['nafnet_w32_1xb8-200k_its.py']

model = dict(losses=dict(psnr=None, pixel=dict(type='L1Loss')), network=dict(
    _delete_=True, type='SpandrelNetwork', architecture='Uformer',
    hyperparameters=dict(embed_dim=16, img_size=128)))
optim_wrapper = dict(optimizer=dict(lr=2e-4, betas=(0.9, 0.999)))

# MixDehazeNet-S; images in [-1, 1], built by spandrel; trained like the NAFNet beside it
_base_ = ['nafnet_w32_1xb8-200k_its.py']

model = dict(losses=dict(psnr=None, pixel=dict(type='L1Loss')), network=dict(
    _delete_=True, type='SpandrelNetwork', architecture='MixDehazeNet',
    hyperparameters=dict(embed_dims=[24, 48, 96, 48, 24], depths=[2, 2, 4, 2, 2])))
optim_wrapper = dict(optimizer=dict(lr=2e-4, betas=(0.9, 0.999)))

# GridDehazeNet: 0.96 M parameters. The authors' recipe on RESIDE ITS: 100 epochs in batches of 24 crops of 240, Adam at
# 1e-3, and 0.04 times a perceptual loss beside a smooth L1 (here Charbonnier). VGG's ImageNet weights are fetched when
# training starts; --cfg-options model.losses.perceptual=None does without.
_base_ = ['../_base_/datasets/its.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='Restorer', network=dict(type='GridDehazeNet'), losses=dict(
    pixel=dict(type='CharbonnierLoss'),
    perceptual=dict(type='PerceptualLoss', net='vgg16', distance='l2', loss_weight=0.04,
                    layers=dict(relu1_2=1 / 3, relu2_2=1 / 3, relu3_3=1 / 3))))
train_dataloader = dict(batch_size=24, dataset=dict(pipeline=dict(crop=dict(size=240))))
train_cfg = dict(max_iters=58000, val_interval=2900)
optim_wrapper = dict(optimizer=dict(lr=1e-3))

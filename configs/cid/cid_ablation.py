# A small network, pretrained on many domains, then trained on with the encoder frozen, as CID's later phases do. What a
# part of CID adds to the second phase is measured by the study studies/cid_parts.
_base_ = ['../_base_/networks/cid_small.py', '../_base_/datasets/multi_domain_haze.py',
          '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='CIDRestorer', share_interval=10,
             losses=dict(pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.1)))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=300, val_interval=100000)  # validates at the end
default_hooks = dict(checkpoint=dict(interval=200, max_keep_ckpts=1))
custom_hooks = []
val_dataloader = dict(dataset=dict(datasets=dict(
    ohaze=dict(type='PairedDataset', input_dir='ohaze_512/hazy', gt_dir='ohaze_512/clear', pairing='stem',
               include=['s2[89].*', 's3[0-3].*'], domain='ohaze'))))

phases = dict(pretrain=dict(train_cfg=dict(max_iters=600)), train=dict(frozen=['network.encoder']))

# CID as published: Res2Net-101 encoder, 49.4 M parameters, crops of 256, batches of 32. The iterations of each phase
# are ours: the authors published none. Give the encoder's ImageNet weights (gasvn's res2net101_v1b_26w_4s or timm's
# res2net101d) with --cfg-options phases.pretrain.model.network.encoder.pretrained=FILE_OR_URL
_base_ = ['../_base_/networks/cid_res2net101.py', '../_base_/datasets/multi_domain_haze.py',
          '../_base_/phases/cid.py', '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='CIDRestorer',
             losses=dict(pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.5)))
large = dict(pipeline=dict(view=dict(size=384), crop=dict(size=256)))
train_dataloader = dict(batch_size=32, num_workers=8, dataset=dict(
    source=dict(datasets=dict(sots=large, camvid=large, bsds=large)), target=large))
train_cfg = dict(max_iters=100000, val_interval=5000)

phases = dict(
    supervised=dict(model=dict(reweighter=dict(dims=128, bank_size=128, warmup_iters=1000))),
    adapt=dict(model=dict(alignment=dict(loss_weight=0.1))))

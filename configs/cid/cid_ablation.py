# What each part of CID adds, on real images with a small network: five variants at equal iterations, as phases of one
# run. Two networks are pretrained, on one domain (indoor scenes in grey haze) and on many; each variant continues from
# one of them with the encoder frozen, as CID's later phases do. Run it with tools/research/ablation.py, which repeats
# it for several seeds and makes the table.
_base_ = ['../_base_/networks/cid_small.py', '../_base_/datasets/multi_domain_haze.py',
          '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='CIDRestorer', share_interval=10,
             losses=dict(pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.1)))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=400, val_interval=100000)  # validates at the end
default_hooks = dict(checkpoint=dict(interval=200, max_keep_ckpts=1))
custom_hooks = []
val_dataloader = dict(dataset=dict(datasets=dict(
    neutralised=dict(type='PairedDataset', input_dir='sand_pairs_neutralised/hazy',
                     gt_dir='sand_pairs_neutralised/clear', pairing='stem', include=['s2[89]*', 's3[0-3]*'],
                     domain='neutralised'))))

one_domain = dict(
    target=None,
    source=dict(weights=dict(_delete_=True, sots=1.0), datasets=dict(sots=dict(pipeline=dict(degrade=dict(
        degradation=dict(type='AtmosphericScattering', beta=(0.6, 1.8), airlight=(0.7, 1.0))))))))
many_domains = dict(target=None)
encoder = ['network.encoder']
reweighter = dict(type='DecorrelationReweighter', num_maps=2, dims=64, bank_size=64, target_ess=0.8)
alignment = dict(type='CORALLoss', bounded=True, loss_weight=0.5)

phases = dict(
    pretrain_one_domain=dict(init_from=None, train_cfg=dict(max_iters=800), train_dataloader=dict(dataset=one_domain)),
    pretrain_many_domains=dict(init_from=None, train_cfg=dict(max_iters=800),
                               train_dataloader=dict(dataset=many_domains)),
    source_only=dict(init_from='pretrain_one_domain', frozen=encoder, train_dataloader=dict(dataset=one_domain)),
    multi_domain=dict(init_from='pretrain_many_domains', frozen=encoder, train_dataloader=dict(dataset=many_domains)),
    reweighting=dict(init_from='pretrain_many_domains', frozen=encoder, train_dataloader=dict(dataset=many_domains),
                     model=dict(reweighter=reweighter)),
    alignment=dict(init_from='pretrain_many_domains', frozen=encoder, model=dict(alignment=alignment)),
    everything=dict(init_from='pretrain_many_domains', frozen=encoder,
                    model=dict(reweighter=reweighter, alignment=alignment)))

# A small CID, trained through its three phases in minutes on a CPU, on scenes rendered by code.
_base_ = ['../_base_/networks/cid_small.py', '../_base_/datasets/procedural.py',
          '../_base_/schedules/adam_cosine.py', '../_base_/default_runtime.py']

model = dict(type='CIDRestorer', losses=dict(pixel=dict(type='L1Loss')))
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
train_cfg = dict(max_iters=180, val_interval=180)
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))

phases = dict(
    pretrain=dict(  # semi-supervised: synthetic pairs + consistency on real images
        train_cfg=dict(max_iters=260, val_interval=260),
        model=dict(consistency=dict(
            type='MeanTeacherConsistency', loss_weight=0.1,
            perturbation=dict(type='AtmosphericScattering', beta=(0.1, 0.5), airlight=(0.7, 1.0))))),
    supervised=dict(  # encoder frozen; samples reweighted until their features decorrelate
        frozen=['network.encoder'],
        train_dataloader=dict(dataset=dict(target=None)),
        model=dict(reweighter=dict(type='DecorrelationReweighter', num_maps=2, target_ess=0.8))),
    adapt=dict(  # encoder frozen; second-order statistics of synthetic and real embeddings aligned
        frozen=['network.encoder'],
        optim_wrapper=dict(optimizer=dict(lr=1e-3)),
        model=dict(alignment=dict(type='CORALLoss', bounded=True, loss_weight=0.1))))

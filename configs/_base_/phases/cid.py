# CID's three phases; see docs/methods/cid.md.
phases = dict(
    pretrain=dict(  # semi-supervised: synthetic pairs + consistency on real images
        model=dict(consistency=dict(
            type='MeanTeacherConsistency', loss_weight=0.1,
            perturbation=dict(type='AtmosphericScattering', beta=(0.1, 0.6), airlight=(0.6, 1.0))))),
    supervised=dict(  # samples reweighted until their features decorrelate
        frozen=['network.encoder'],
        train_dataloader=dict(dataset=dict(target=None)),
        model=dict(reweighter=dict(type='DecorrelationReweighter', num_maps=2, target_ess=0.8))),
    adapt=dict(  # second-order statistics of synthetic and real embeddings aligned
        frozen=['network.encoder'],
        model=dict(alignment=dict(type='CORALLoss', bounded=True))))

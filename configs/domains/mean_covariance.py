# Means and covariances of source and target embeddings alike (DomainBed's CORAL, with a target).
_base_ = ['erm.py']

model = dict(alignment=dict(type='MeanCovarianceLoss', loss_weight=0.3))

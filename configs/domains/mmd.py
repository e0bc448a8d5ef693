# Maximum mean discrepancy (Gretton et al., 2012) between source and target embeddings.
_base_ = ['erm.py']

model = dict(alignment=dict(type='MMDLoss', loss_weight=0.05))

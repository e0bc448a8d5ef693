# CORAL, unbiased, with a queue of target embeddings.
_base_ = ['erm.py']

model = dict(alignment=dict(type='CORALLoss', bounded=False, estimator='unbiased', queue_size=256, loss_weight=1.0))

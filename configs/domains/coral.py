# CORAL (Sun and Saenko, 2016), bounded as in CID: covariances of source and target embeddings alike.
_base_ = ['erm.py']

model = dict(alignment=dict(type='CORALLoss', bounded=True, loss_weight=10.0))

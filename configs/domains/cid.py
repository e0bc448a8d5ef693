# All of CID on one network: reweighting and bounded CORAL together.
_base_ = ['decorrelation.py']

model = dict(alignment=dict(type='CORALLoss', bounded=True, loss_weight=10.0))

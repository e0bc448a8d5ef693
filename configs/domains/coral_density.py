# CORAL within classes of haze density.
_base_ = ['erm.py']

model = dict(alignment=dict(type='DensityConditionalCORAL', bounded=True, edges=[0.25, 0.5], loss_weight=10.0))

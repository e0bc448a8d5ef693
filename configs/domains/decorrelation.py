# CID's reweighting: weights under which the embedding's dimensions are uncorrelated (Zhang et al., 2021).
_base_ = ['erm.py']

model = dict(reweighter=dict(type='DecorrelationReweighter', num_maps=2, dims=64, bank_size=64, target_ess=0.8))

# Reweighting by the density ratio of the embeddings to their independent version.
_base_ = ['erm.py']

model = dict(reweighter=dict(type='DensityRatioReweighter'))

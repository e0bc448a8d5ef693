# DehazeFormer-S: 1.28 M parameters
_base_ = ['dehazeformer_t_1xb32-131k_its.py']

model = dict(network=dict(depths=(8, 8, 8, 4, 4), attention=(0.25, 0.5, 0.75, 0, 0)))

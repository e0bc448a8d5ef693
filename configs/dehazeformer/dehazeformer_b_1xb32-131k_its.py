# DehazeFormer-B: 2.52 M parameters
_base_ = ['dehazeformer_t_1xb32-131k_its.py']

model = dict(network=dict(depths=(16, 16, 16, 8, 8), attention=(0.25, 0.5, 0.75, 0, 0)))

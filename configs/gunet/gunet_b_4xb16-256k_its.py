# gUNet-B: 2.74 M parameters
_base_ = ['gunet_t_4xb16-256k_its.py']

model = dict(network=dict(depths=(8, 8, 8, 16, 8, 8, 8)))

# gUNet-S: 1.48 M parameters
_base_ = ['gunet_t_4xb16-256k_its.py']

model = dict(network=dict(depths=(4, 4, 4, 8, 4, 4, 4)))

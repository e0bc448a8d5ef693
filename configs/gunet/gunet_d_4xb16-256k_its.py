# gUNet-D: 5.27 M parameters
_base_ = ['gunet_t_4xb16-256k_its.py']

model = dict(network=dict(depths=(16, 16, 16, 32, 16, 16, 16)))

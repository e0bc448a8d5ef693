# ConvIR-S: 5.53 M parameters
_base_ = ['convir_b_1xb4-1050k_its.py']

model = dict(network=dict(blocks=4))

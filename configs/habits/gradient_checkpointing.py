# Compute the activations of these modules again in the backward pass: less memory, more time, the same weights.
_base_ = 'base.py'
activation_checkpointing = ['network.encoder.layer1', 'network.encoder.layer2', 'network.encoder.layer3']

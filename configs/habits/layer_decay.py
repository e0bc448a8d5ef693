# The earlier a layer of the encoder, the lower its learning rate.
_base_ = 'base.py'
optim_wrapper = dict(constructor='LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(layer_decay=0.8))

model = dict(type='AffineRestorer', loss_stride=2, frozen=['network.encoder'], network=dict(
    type='LowResolutionAffine', size=[192, 144],
    encoder=dict(type='PriorEncoder', features=dict(type='EfficientNetLite', pretrained=True)),
    decoder=dict(type='GridAffineDecoder', channels=[32, 80, 128], blocks=[1, 2, 2])))

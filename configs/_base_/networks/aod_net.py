# AOD-Net as published: 1,761 parameters
model = dict(network=dict(type='AODNet', channels=3))

# The order and ranges of RIDCP (Wu et al., 2023): low light, noise, haze with coloured airlight, JPEG.
degradation = dict(
    type='Sequential',
    children=[
        dict(type='Maybe', p=0.5, child=dict(type='LowLight', gamma=(1.5, 3.0))),
        dict(type='Maybe', p=0.5, child=dict(type='PoissonGaussianNoise', sigma=(2.0, 25.0), shot=0.0, grey=0.4)),
        dict(type='AtmosphericScattering', beta=(0.6, 3.0), airlight=(0.25, 1.0), airlight_jitter=0.025),
        dict(type='Maybe', p=0.5, child=dict(type='JPEG', quality=(30, 95))),
    ])

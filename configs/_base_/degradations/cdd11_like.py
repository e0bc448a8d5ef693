# The eleven combinations of CDD-11 (Guo et al., 2024), in its order: low light, rain or snow, haze.
degradation = dict(
    type='OneOf',
    children=[
        dict(type='Rain', veil=0.0),
        dict(type='Snow'),
        dict(type='AtmosphericScattering', beta=(1.0, 2.0), airlight=(0.6, 0.9)),
        dict(type='Sequential', children=[
            dict(type='LowLight', mode='retinex', gamma=(2.0, 3.0)),
            dict(type='PoissonGaussianNoise', sigma=(7.5, 20.0), shot=0.0),
        ]),
        dict(type='Sequential', children=[
            dict(type='LowLight', mode='retinex', gamma=(2.0, 3.0)),
            dict(type='PoissonGaussianNoise', sigma=(7.5, 20.0), shot=0.0),
            dict(type='Rain', veil=0.0),
        ]),
        dict(type='Sequential', children=[
            dict(type='LowLight', mode='retinex', gamma=(2.0, 3.0)),
            dict(type='PoissonGaussianNoise', sigma=(7.5, 20.0), shot=0.0),
            dict(type='Snow'),
        ]),
        dict(type='Sequential', children=[
            dict(type='LowLight', mode='retinex', gamma=(2.0, 3.0)),
            dict(type='PoissonGaussianNoise', sigma=(7.5, 20.0), shot=0.0),
            dict(type='AtmosphericScattering', beta=(1.0, 2.0), airlight=(0.6, 0.9)),
        ]),
        dict(type='Sequential', children=[
            dict(type='Rain', veil=0.0),
            dict(type='AtmosphericScattering', beta=(1.0, 2.0), airlight=(0.6, 0.9)),
        ]),
        dict(type='Sequential', children=[
            dict(type='Snow'),
            dict(type='AtmosphericScattering', beta=(1.0, 2.0), airlight=(0.6, 0.9)),
        ]),
        dict(type='Sequential', children=[
            dict(type='LowLight', mode='retinex', gamma=(2.0, 3.0)),
            dict(type='PoissonGaussianNoise', sigma=(7.5, 20.0), shot=0.0),
            dict(type='Rain', veil=0.0),
            dict(type='AtmosphericScattering', beta=(1.0, 2.0), airlight=(0.6, 0.9)),
        ]),
        dict(type='Sequential', children=[
            dict(type='LowLight', mode='retinex', gamma=(2.0, 3.0)),
            dict(type='PoissonGaussianNoise', sigma=(7.5, 20.0), shot=0.0),
            dict(type='Snow'),
            dict(type='AtmosphericScattering', beta=(1.0, 2.0), airlight=(0.6, 0.9)),
        ]),
    ])

# Haze at night, with the noise of a sensor short of light.
degradation = dict(
    type='Sequential',
    children=[
        dict(type='NightHaze'),
        dict(type='Maybe', p=0.6, child=dict(type='PoissonGaussianNoise', sigma=(1.0, 6.0), shot=(0.0001, 0.0015))),
    ])

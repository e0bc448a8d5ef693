# The eleven combinations of CDD-11 (Guo et al., 2024), in its order: low light, rain or snow, haze.
_low = dict(type='Sequential', children=[
    dict(type='LowLight', mode='retinex', gamma=(2.0, 3.0)),
    dict(type='PoissonGaussianNoise', sigma=(7.5, 20.0), shot=0.0),
])
_rain = dict(type='Rain', veil=0.0)
_snow = dict(type='Snow')
_haze = dict(type='AtmosphericScattering', beta=(1.0, 2.0), airlight=(0.6, 0.9))

degradation = dict(
    type='OneOf',
    children=[
        _low,
        _rain,
        _snow,
        _haze,
        dict(type='Sequential', children=[_low, _rain]),
        dict(type='Sequential', children=[_low, _snow]),
        dict(type='Sequential', children=[_low, _haze]),
        dict(type='Sequential', children=[_rain, _haze]),
        dict(type='Sequential', children=[_snow, _haze]),
        dict(type='Sequential', children=[_low, _rain, _haze]),
        dict(type='Sequential', children=[_low, _snow, _haze]),
    ])

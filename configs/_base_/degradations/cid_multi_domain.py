# Every kind of scene that CID trains on: haze by day and by night, dust, haze in low light; then noise, cast, codec.
degradation = dict(
    type='Sequential',
    children=[
        dict(type='OneOf',
             weights=[0.18, 0.06, 0.08, 0.06, 0.15, 0.1, 0.16, 0.16, 0.05],
             children=[
                 dict(type='AtmosphericScattering', beta=(0.5, 2.5), airlight=(0.6, 1.0), airlight_jitter=0.025),
                 # overexposed: the veil is white, as in RESIDE
                 dict(type='AtmosphericScattering', beta=(0.5, 2.5), airlight=1.0),
                 # dense fog without colour
                 dict(type='AtmosphericScattering', beta=(1.5, 3.5), airlight=(0.5, 1.0), airlight_jitter=0.008),
                 dict(type='AtmosphericScattering', beta=(0.5, 2.5), airlight=(0.6, 0.95),
                      airlight_saturation=(0.05, 0.25)),
                 dict(type='NonHomogeneousHaze', beta=(0.6, 2.2), airlight=(0.65, 1.0), airlight_jitter=0.025),
                 dict(type='CIDScattering', mode='safe', noise=0.0),
                 dict(type='NightHaze', beta=(0.2, 1.5), ambient=(0.12, 0.4), lamp_saturation=(0.2, 0.85)),
                 dict(type='Dust', green=(0.5, 0.9)),
                 dict(type='Sequential', children=[
                     dict(type='LowLight', gamma=(1.3, 2.5), gain=(0.5, 1.0)),
                     dict(type='AtmosphericScattering', beta=(0.5, 1.8), airlight=(0.2, 0.6), airlight_jitter=0.025),
                 ]),
             ]),
        dict(type='Maybe', p=0.4,
             child=dict(type='PoissonGaussianNoise', sigma=(0.5, 5.0), shot=(0.0001, 0.001), grey=0.4)),
        dict(type='Maybe', p=0.15, child=dict(type='ColourCast', strength=(0.05, 0.25))),
        dict(type='Maybe', p=0.5, child=dict(type='JPEG', quality=(40, 95))),
    ])

# Haze and fog by day: grey, faintly coloured, fine and bluish, patchy.
degradation = dict(
    type='OneOf',
    weights=[0.45, 0.15, 0.15, 0.25],
    children=[
        dict(type='AtmosphericScattering', beta=(0.5, 2.5), airlight=(0.6, 1.0), airlight_jitter=0.025),
        dict(type='AtmosphericScattering', beta=(0.5, 2.5), airlight=(0.6, 0.95), airlight_saturation=(0.03, 0.2),
             airlight_hue=(0.04, 0.15)),
        dict(type='AtmosphericScattering', beta=(0.5, 1.8), airlight=(0.65, 0.95), airlight_saturation=(0.0, 0.12),
             airlight_hue=(0.5, 0.65), wavelength_exponent=(0.5, 1.3)),
        dict(type='NonHomogeneousHaze', beta=(0.6, 2.2), airlight=(0.65, 1.0), airlight_jitter=0.025),
    ])

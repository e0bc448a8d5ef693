# Sand and dust: most of it light to dense, some patchy and very dense.
degradation = dict(
    type='OneOf',
    weights=[0.75, 0.25],
    children=[
        dict(type='Dust', beta=(0.5, 2.2)),
        dict(type='Dust', beta=(1.2, 3.0), contrast=(0.3, 0.7)),
    ])

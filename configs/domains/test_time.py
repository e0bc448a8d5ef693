# Plain training; each test image is adapted to by the consistency of more haze before it is restored.
_base_ = ['erm.py']

model = dict(
    type='TestTimeRestorer', network={{_base_.model.network}}, losses={{_base_.model.losses}},
    frozen=['network.encoder'], steps=4, step_size=0.01,
    perturbation=dict(type='AtmosphericScattering', beta=(0.1, 0.6), airlight=(0.6, 1.0)))

# Mean teacher (Tarvainen and Valpola, 2017) on unlabelled photos of the target. The hazier copy is encoded anew.
_base_ = ['erm.py']

model = dict(consistency=dict(
    type='MeanTeacherConsistency', loss_weight=0.1,
    perturbation=dict(type='AtmosphericScattering', beta=(0.1, 0.6), airlight=(0.6, 1.0))))

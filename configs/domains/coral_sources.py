# CORAL between the source domains, without any image of the target (Gulrajani and Lopez-Paz, 2021).
_base_ = ['erm.py']

model = dict(align='sources', alignment=dict(type='MeanCovarianceLoss', loss_weight=0.3))

# A domain classifier that the embedding has to fool (Ganin et al., 2016).
_base_ = ['erm.py']

model = dict(alignment=dict(type='DomainAdversarialLoss', loss_weight=0.2, warmup_iters=100))

# The phases of two_phases.py in the other order: alignment first.
_base_ = ['two_phases.py']

phases = dict(_delete_=True, adapt={{_base_.phases.adapt}}, train={{_base_.phases.train}})

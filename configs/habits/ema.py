# Average the weights: validation, checkpoints and the next phase use the average.
_base_ = 'base.py'
custom_hooks = [dict(type='EMAHook', momentum=0.02)]

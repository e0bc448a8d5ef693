# Tested without truth: a child names what needs none, e.g. test_evaluator = [dict(type='NIQE')]. As a target domain:
# train_dataloader = dict(dataset=dict(type='DomainPairDataset', source=..., target=dict(type='SingleDataset', ...)))
_base_ = ['test.py']
test_evaluator = []

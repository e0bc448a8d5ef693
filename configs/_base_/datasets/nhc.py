# NHC, 550 Cityscapes images made nightly and hazy by the 3R method, five times each at each of three densities; truth
# is the low-light image. NHC/**/*_nightHazy* beside NHC/**/*_lowLight*. No split is agreed upon and no number checked.
_base_ = ['loaders/val.py']
val_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='NHC', gt_dir='NHC', include='*nightHazy*', domain='nhc',
    pairing=dict(input=r'([^/]*)nightHazy([^/]*)\.', gt=r'([^/]*)lowLight([^/]*)\.')))
test_dataloader = val_dataloader

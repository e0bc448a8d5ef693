# NHM, 350 images made nightly and hazy from 70 Middlebury ones by the 3R method, to test; truth is the low-light image.
# NHM/**/*_NighttimeHazy*.jpg beside NHM/**/*_lowLight*.jpg, in any folders
_base_ = ['loaders/val.py']
val_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='NHM', gt_dir='NHM', include='*NighttimeHazy*', expected=350, domain='nhm',
    pairing=dict(input=r'([^/]*)NighttimeHazy([^/]*)\.', gt=r'([^/]*)lowLight([^/]*)\.')))
test_dataloader = val_dataloader

# NHR, 8,970 outdoor images of RESIDE made nightly and hazy by the 3R method; truth is the low-light image without haze.
# NHR/{train.txt, val.txt} list hazy files below NHR/, one a line, as the json files of the download split them
# (8,073 and 897); names are paired as the generator writes them: 0005_NighttimeHazy_1 to 0005_lowLight_1
_base_ = ['loaders/train.py', 'loaders/val.py']
folders = dict(input_dir='NHR', gt_dir='NHR',
               pairing=dict(input=r'([^/]*)NighttimeHazy([^/]*)\.', gt=r'([^/]*)lowLight([^/]*)\.'))
train_dataloader = dict(dataset=dict(
    type='PairedDataset', **folders, ann_file='NHR/train.txt', expected=8073, domain='nhr_train'))
val_dataloader = dict(dataset=dict(
    type='PairedDataset', **folders, ann_file='NHR/val.txt', expected=897, domain='nhr'))
test_dataloader = val_dataloader

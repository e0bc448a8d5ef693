# NH-HAZE, 55 outdoor pairs with patchy haze from a machine, 1600x1200; 1 to 50 train, 51 to 55 test.
# NH-HAZE/{01_hazy.png, 01_GT.png}, all in one folder
_base_ = ['loaders/train.py', 'loaders/val.py']
folders = dict(input_dir='NH-HAZE', gt_dir='NH-HAZE', pairing=dict(input=r'(\d+)_hazy', gt=r'(\d+)_GT'))
train_dataloader = dict(dataset=dict(
    type='PairedDataset', **folders, include=['[0-4]?_hazy*', '50_hazy*'], expected=50, domain='nh_haze_train'))
val_dataloader = dict(dataset=dict(
    type='PairedDataset', **folders, include='5[1-5]_hazy*', expected=5, domain='nh_haze'))
test_dataloader = val_dataloader

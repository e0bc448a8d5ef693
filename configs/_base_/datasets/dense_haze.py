# Dense-Haze, 55 outdoor pairs with dense haze from a machine, 1600x1200; 1 to 50 train, 51 to 55 test.
# Dense_Haze_NTIRE19/{hazy/01_hazy.png, GT/01_GT.png}
_base_ = ['loaders/train.py', 'loaders/val.py']
folders = dict(input_dir='Dense_Haze_NTIRE19/hazy', gt_dir='Dense_Haze_NTIRE19/GT', pairing='suffix')
train_dataloader = dict(dataset=dict(
    type='PairedDataset', **folders, include=['[0-4]?_*', '50_*'], expected=50, domain='dense_haze_train'))
val_dataloader = dict(dataset=dict(
    type='PairedDataset', **folders, include='5[1-5]_*', expected=5, domain='dense_haze'))
test_dataloader = val_dataloader

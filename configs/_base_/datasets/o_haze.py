# O-HAZE, 45 outdoor pairs with haze from a machine, of many sizes; 1 to 40 train, 41 to 45 test (36 to 40 validated the
# NTIRE 2018 challenge). O-HAZE/# O-HAZY NTIRE 2018/{hazy/01_outdoor_hazy.jpg, GT/01_outdoor_GT.jpg}
_base_ = ['loaders/train.py', 'loaders/val.py']
folders = dict(input_dir='O-HAZE/# O-HAZY NTIRE 2018/hazy', gt_dir='O-HAZE/# O-HAZY NTIRE 2018/GT', pairing='suffix')
train_dataloader = dict(dataset=dict(
    type='PairedDataset', **folders, include=['[0-3]?_*', '40_*'], expected=40, domain='o_haze_train'))
val_dataloader = dict(dataset=dict(
    type='PairedDataset', **folders, include='4[1-5]_*', expected=5, domain='o_haze'))
test_dataloader = val_dataloader

# I-HAZE, indoor pairs with haze from a machine. The paper has 35; the download has the 30 of the NTIRE 2018 challenge,
# without 26 to 30: 1 to 25 train, 31 to 35 test. I-HAZE/# I-HAZY NTIRE 2018/{hazy/01_indoor_hazy.jpg, GT/...}
_base_ = ['loaders/train.py', 'loaders/val.py']
folders = dict(input_dir='I-HAZE/# I-HAZY NTIRE 2018/hazy', gt_dir='I-HAZE/# I-HAZY NTIRE 2018/GT', pairing='suffix')
train_dataloader = dict(dataset=dict(
    type='PairedDataset', **folders, include=['[01]?_*', '2[0-5]_*'], expected=25, domain='i_haze_train'))
val_dataloader = dict(dataset=dict(
    type='PairedDataset', **folders, include='3[1-5]_*', expected=5, domain='i_haze'))
test_dataloader = val_dataloader

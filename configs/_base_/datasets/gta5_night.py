# GTA5 nighttime fog, 787 rendered pairs to train and 77 to test. GTA5/{trainA,testA} hazy, GTA5/{trainB,testB} clear,
# with the same names
_base_ = ['loaders/train.py', 'loaders/val.py']
train_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='GTA5/trainA', gt_dir='GTA5/trainB', pairing='stem', expected=787,
    domain='gta5_night_train'))
val_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='GTA5/testA', gt_dir='GTA5/testB', pairing='stem', expected=77,
    domain='gta5_night'))
test_dataloader = val_dataloader

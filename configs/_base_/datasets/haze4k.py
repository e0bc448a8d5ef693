# Haze4K, 3,000 synthetic pairs to train and 1,000 to test. Haze4K/{train,test}/{haze/1_0.89_1.56.png, gt/1.png}
# (trans/ is not used)
_base_ = ['loaders/train.py', 'loaders/val.py']
train_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='Haze4K/train/haze', gt_dir='Haze4K/train/gt', pairing='prefix', expected=3000,
    domain='haze4k_train'))
val_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='Haze4K/test/haze', gt_dir='Haze4K/test/gt', pairing='prefix', expected=1000,
    domain='haze4k'))
test_dataloader = val_dataloader

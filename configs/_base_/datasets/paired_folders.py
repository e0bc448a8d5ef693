# Hazy and clear images in folders: train/hazy, train/clear, val/hazy, val/clear below the data root.
_base_ = ['loaders/train.py', 'loaders/val.py']
train_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='train/hazy', gt_dir='train/clear', pairing='stem', domain='train',
    pipeline=dict(crop=dict(size=128))))
val_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='val/hazy', gt_dir='val/clear', pairing='stem', domain='val'))
test_dataloader = val_dataloader

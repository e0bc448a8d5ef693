# RESIDE-standard ITS, 13,990 hazy images of 1,399 clear ones; tested on SOTS-indoor, as published.
# ITS/{hazy/1_1_0.90179.png, clear/1.png} (trans/ is not used), and SOTS/indoor
_base_ = ['loaders/train.py', 'sots_indoor.py']
train_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='ITS/hazy', gt_dir='ITS/clear', pairing='prefix', expected=13990, domain='its'))

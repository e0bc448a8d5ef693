# RESIDE-beta OTS, 72,135 hazy images, 35 of each of 2,061 clear ones; tested on SOTS-outdoor, as published.
# OTS_BETA/{haze/0005_0.8_0.04.jpg, clear/0005.jpg} (the parts of haze in one folder), and SOTS/outdoor
_base_ = ['loaders/train.py', 'sots_outdoor.py']
train_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='OTS_BETA/haze', gt_dir='OTS_BETA/clear', pairing='prefix', expected=72135,
    domain='ots'))

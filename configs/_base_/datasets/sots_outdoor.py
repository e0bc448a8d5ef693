# RESIDE SOTS-outdoor, 500 hazy JPEG images of 492 clear scenes. SOTS/outdoor/{hazy/0001_0.8_0.2.jpg, gt/0001.png}
_base_ = ['loaders/val.py']
val_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='SOTS/outdoor/hazy', gt_dir='SOTS/outdoor/gt', pairing='prefix', expected=500,
    domain='sots_outdoor'))
test_dataloader = val_dataloader

# RESIDE SOTS-indoor, 500 hazy images (620x460) of 50 scenes; the clear ones keep a frame of 10 pixels (640x480), which
# is cut. SOTS/indoor/{hazy/1400_1.png, gt/1400.png}
_base_ = ['loaders/val.py']
val_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='SOTS/indoor/hazy', gt_dir='SOTS/indoor/gt', pairing='prefix', gt_border=10,
    expected=500, domain='sots_indoor'))
test_dataloader = val_dataloader

# SIE, sand-dust: 500 synthetic pairs, to test. SIE_Dataset/Synthetic_images/{Sand_dust_images/001.jpg,
# Ground_truth/001.jpg}
_base_ = ['loaders/val.py']
val_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='SIE_Dataset/Synthetic_images/Sand_dust_images',
    gt_dir='SIE_Dataset/Synthetic_images/Ground_truth', pairing='stem', expected=500, domain='sie'))
test_dataloader = val_dataloader

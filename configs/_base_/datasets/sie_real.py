# SIE, sand-dust: 460 real photos without truth, a target domain. SIE_Dataset/Real_world_images/{Floating_dust,
# Blowing_sand,Sandstorm,Strong_sandstorm}/*.jpg (150, 150, 150 and 10)
_base_ = ['loaders/unlabelled.py']
test_dataloader = dict(dataset=dict(
    type='SingleDataset', image_dir='SIE_Dataset/Real_world_images', expected=460, domain='sie_real'))

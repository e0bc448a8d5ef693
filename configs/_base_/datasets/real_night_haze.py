# RealNightHaze, 443 real photos of haze at night without truth: a target domain. RealNightHaze/*
_base_ = ['loaders/unlabelled.py']
test_dataloader = dict(dataset=dict(
    type='SingleDataset', image_dir='RealNightHaze', expected=443, domain='real_night_haze'))

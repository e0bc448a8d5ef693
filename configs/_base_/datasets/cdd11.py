# CDD-11, composite degradations: each of the same clear photos under low light, haze, rain, snow and seven
# combinations, 1,183 to train and 200 to test of each kind. CDD-11/{train,test}/{clear/00001.png,
# low_haze_rain/00001.png, ...}
_base_ = ['loaders/val.py']
view = dict(crop=dict(type='RandomCrop', size=256), flip=dict(type='RandomFlip'))
train_dataloader = dict(
    batch_size=8, num_workers=2, persistent_workers=True, sampler=dict(type='CounterSampler'),
    dataset=dict(type='ConcatDataset', datasets=dict(
        low=dict(type='PairedDataset', input_dir='CDD-11/train/low', gt_dir='CDD-11/train/clear',
             expected=1183, domain='low_train', pipeline=view),
        haze=dict(type='PairedDataset', input_dir='CDD-11/train/haze', gt_dir='CDD-11/train/clear',
             expected=1183, domain='haze_train', pipeline=view),
        rain=dict(type='PairedDataset', input_dir='CDD-11/train/rain', gt_dir='CDD-11/train/clear',
             expected=1183, domain='rain_train', pipeline=view),
        snow=dict(type='PairedDataset', input_dir='CDD-11/train/snow', gt_dir='CDD-11/train/clear',
             expected=1183, domain='snow_train', pipeline=view),
        low_haze=dict(type='PairedDataset', input_dir='CDD-11/train/low_haze', gt_dir='CDD-11/train/clear',
             expected=1183, domain='low_haze_train', pipeline=view),
        low_rain=dict(type='PairedDataset', input_dir='CDD-11/train/low_rain', gt_dir='CDD-11/train/clear',
             expected=1183, domain='low_rain_train', pipeline=view),
        low_snow=dict(type='PairedDataset', input_dir='CDD-11/train/low_snow', gt_dir='CDD-11/train/clear',
             expected=1183, domain='low_snow_train', pipeline=view),
        haze_rain=dict(type='PairedDataset', input_dir='CDD-11/train/haze_rain', gt_dir='CDD-11/train/clear',
             expected=1183, domain='haze_rain_train', pipeline=view),
        haze_snow=dict(type='PairedDataset', input_dir='CDD-11/train/haze_snow', gt_dir='CDD-11/train/clear',
             expected=1183, domain='haze_snow_train', pipeline=view),
        low_haze_rain=dict(type='PairedDataset', input_dir='CDD-11/train/low_haze_rain', gt_dir='CDD-11/train/clear',
             expected=1183, domain='low_haze_rain_train', pipeline=view),
        low_haze_snow=dict(type='PairedDataset', input_dir='CDD-11/train/low_haze_snow', gt_dir='CDD-11/train/clear',
             expected=1183, domain='low_haze_snow_train', pipeline=view))))
val_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=dict(
        low=dict(type='PairedDataset', input_dir='CDD-11/test/low', gt_dir='CDD-11/test/clear',
             expected=200, domain='low'),
        haze=dict(type='PairedDataset', input_dir='CDD-11/test/haze', gt_dir='CDD-11/test/clear',
             expected=200, domain='haze'),
        rain=dict(type='PairedDataset', input_dir='CDD-11/test/rain', gt_dir='CDD-11/test/clear',
             expected=200, domain='rain'),
        snow=dict(type='PairedDataset', input_dir='CDD-11/test/snow', gt_dir='CDD-11/test/clear',
             expected=200, domain='snow'),
        low_haze=dict(type='PairedDataset', input_dir='CDD-11/test/low_haze', gt_dir='CDD-11/test/clear',
             expected=200, domain='low_haze'),
        low_rain=dict(type='PairedDataset', input_dir='CDD-11/test/low_rain', gt_dir='CDD-11/test/clear',
             expected=200, domain='low_rain'),
        low_snow=dict(type='PairedDataset', input_dir='CDD-11/test/low_snow', gt_dir='CDD-11/test/clear',
             expected=200, domain='low_snow'),
        haze_rain=dict(type='PairedDataset', input_dir='CDD-11/test/haze_rain', gt_dir='CDD-11/test/clear',
             expected=200, domain='haze_rain'),
        haze_snow=dict(type='PairedDataset', input_dir='CDD-11/test/haze_snow', gt_dir='CDD-11/test/clear',
             expected=200, domain='haze_snow'),
        low_haze_rain=dict(type='PairedDataset', input_dir='CDD-11/test/low_haze_rain', gt_dir='CDD-11/test/clear',
             expected=200, domain='low_haze_rain'),
        low_haze_snow=dict(type='PairedDataset', input_dir='CDD-11/test/low_haze_snow', gt_dir='CDD-11/test/clear',
             expected=200, domain='low_haze_snow'))))
test_dataloader = val_dataloader

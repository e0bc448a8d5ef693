# RESIDE-beta RTTS, 4,322 real hazy photos with PASCAL-VOC boxes and no truth.
# RTTS/{JPEGImages/*.png, Annotations/*.xml}
_base_ = ['loaders/unlabelled.py']
test_dataloader = dict(dataset=dict(type='SingleDataset', image_dir='RTTS/JPEGImages', expected=4322, domain='rtts'))

# HazeRD, 15 outdoor scenes of several megapixels, each under five simulated fogs: 75 hazy images, to test.
# HazeRD/data/{simu/IMG_8583_50.jpg, img/IMG_8583_RGB.jpg}; the number behind the scene's name is the visual range
_base_ = ['loaders/val.py']
val_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='HazeRD/data/simu', gt_dir='HazeRD/data/img',
    pairing=dict(input=r'^([^_]+_[^_]+)_', gt=r'^(.+)_RGB'), expected=75, domain='hazerd'))
test_dataloader = val_dataloader

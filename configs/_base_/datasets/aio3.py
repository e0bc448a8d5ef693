# The all-in-one comparison of three degradations (AirNet, PromptIR, AdaIR): Gaussian noise of 15, 25 and 50 on BSD400
# and WED, Train100L, OTS; tested on BSD68, Rain100L and SOTS-outdoor. Shares of the draws as in PromptIR's code,
# where every noisy image counts 3 times and every rainy one 120 times in an epoch of 142,431. The tables use PSNR and
# scikit-image's SSIM in RGB of the central part in multiples of 16. Denoise/{100075.jpg, 00001.bmp} (BSD400 and WED
# together, 5,144), BSD68/101085.png, Train100L/{rainy/rain-1.png, gt/norain-1.png}, Rain100L/{input/1.png,
# target/1.png}, OTS_BETA/{haze/0005_0.8_0.04.jpg, clear/0005.jpg}, SOTS/outdoor
_base_ = ['loaders/val.py']
view = dict(crop=dict(type='RandomCrop', size=128), flip=dict(type='RandomFlip'))
train_dataloader = dict(
    batch_size=8, num_workers=4, persistent_workers=True, sampler=dict(type='CounterSampler'),
    dataset=dict(
        type='ConcatDataset', weights=dict(noise15=15432, noise25=15432, noise50=15432, rain=24000, haze=72135),
        datasets=dict(
            noise15=dict(
                type='ClearDepthDataset', clear_dir='Denoise', expected=5144, domain='noise15_train', pipeline=dict(
                    **view, degrade=dict(type='Degrade', degradation=dict(
                        type='PoissonGaussianNoise', sigma=15, shot=0.0)))),
            noise25=dict(
                type='ClearDepthDataset', clear_dir='Denoise', expected=5144, domain='noise25_train', pipeline=dict(
                    **view, degrade=dict(type='Degrade', degradation=dict(
                        type='PoissonGaussianNoise', sigma=25, shot=0.0)))),
            noise50=dict(
                type='ClearDepthDataset', clear_dir='Denoise', expected=5144, domain='noise50_train', pipeline=dict(
                    **view, degrade=dict(type='Degrade', degradation=dict(
                        type='PoissonGaussianNoise', sigma=50, shot=0.0)))),
            rain=dict(
                type='PairedDataset', input_dir='Train100L/rainy', gt_dir='Train100L/gt', include='rain-*',
                pairing=dict(input=r'rain-(\d+)', gt=r'rain-(\d+)'), expected=200, domain='rain_train', pipeline=view),
            haze=dict(
                type='PairedDataset', input_dir='OTS_BETA/haze', gt_dir='OTS_BETA/clear', pairing='prefix',
                expected=72135, domain='ots', pipeline=view))))
val_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=dict(
    bsd68_15=dict(type='ClearDepthDataset', clear_dir='BSD68', expected=68, domain='bsd68_15', pipeline=[
        dict(type='Degrade', degradation=dict(type='PoissonGaussianNoise', sigma=15, shot=0.0))]),
    bsd68_25=dict(type='ClearDepthDataset', clear_dir='BSD68', expected=68, domain='bsd68_25', pipeline=[
        dict(type='Degrade', degradation=dict(type='PoissonGaussianNoise', sigma=25, shot=0.0))]),
    bsd68_50=dict(type='ClearDepthDataset', clear_dir='BSD68', expected=68, domain='bsd68_50', pipeline=[
        dict(type='Degrade', degradation=dict(type='PoissonGaussianNoise', sigma=50, shot=0.0))]),
    rain100l=dict(type='PairedDataset', input_dir='Rain100L/input', gt_dir='Rain100L/target', expected=100,
                  domain='rain100l'),
    sots_outdoor=dict(type='PairedDataset', input_dir='SOTS/outdoor/hazy', gt_dir='SOTS/outdoor/gt',
                      pairing='prefix', expected=500, domain='sots_outdoor'))))
test_dataloader = val_dataloader
val_evaluator = [dict(type='PSNR', protocol='crop16-centre'), dict(type='SSIM', protocol='crop16-centre')]
test_evaluator = val_evaluator

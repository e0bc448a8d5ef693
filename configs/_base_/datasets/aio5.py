# The all-in-one comparison of five degradations (IDR, AdaIR): that of three, tested at noise 25 only, with blur
# (GoPro, 2,103 + 1,111 pairs) and low light (LOL, 485 + 15). Shares of the draws as in AdaIR's code: a blurred image
# counts 5 times, a dark one 20 times. GoPro/{train,test}/{input,target}/GOPR0372_07_00-000047.png,
# LOL/{our485,eval15}/{low,high}/1.png
_base_ = ['aio3.py']
view = dict(crop=dict(type='RandomCrop', size=128), flip=dict(type='RandomFlip'))
train_dataloader = dict(dataset=dict(
    weights=dict(blur=10515, low_light=9700),
    datasets=dict(
        blur=dict(type='PairedDataset', input_dir='GoPro/train/input', gt_dir='GoPro/train/target', expected=2103,
                  domain='gopro_train', pipeline=view),
        low_light=dict(type='PairedDataset', input_dir='LOL/our485/low', gt_dir='LOL/our485/high', expected=485,
                       domain='lol_train', pipeline=view))))
val_dataloader = dict(dataset=dict(datasets=dict(
    bsd68_15=None, bsd68_50=None,
    gopro=dict(type='PairedDataset', input_dir='GoPro/test/input', gt_dir='GoPro/test/target', expected=1111,
               domain='gopro'),
    lol=dict(type='PairedDataset', input_dir='LOL/eval15/low', gt_dir='LOL/eval15/high', expected=15, domain='lol'))))
test_dataloader = val_dataloader

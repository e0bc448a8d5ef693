# Which choices of haze_prior matter: rooms drawn by code, the loss, an encoder that learns. Short runs, three seeds.
# restorekit study studies/haze_choices --out work_dirs/haze_choices --data-root DATA
hypothesis = '''
Rooms drawn by code add 0.3 dB or more on SOTS, whose 30 training scenes are few, and change O-HAZE by less than that.
A loss in decibels, which counts easy and hard images alike, loses on O-HAZE and gains nowhere. An encoder whose last
stages learn at a tenth of the rate changes nothing by more than 0.2 dB.
'''
analysis = '''
PSNR (protocol rgb, full size) on the validation scenes; variant minus none (no rooms) on the same seeds and images.
Runs of 800 iterations, a ninth of the shipped one's: they say which way early learning goes, no more.
'''
base = 'haze/haze_prior_1xb8-7k_mixture'
options = {'train_cfg.max_iters': 800, 'train_cfg.val_interval': 800, 'val_evaluator': [dict(type='PSNR')]}
weights = 'train_dataloader.dataset.weights'
early = [f'network.encoder.features.{name}' for name in ('_conv_stem', '_blocks.0', '_blocks.1', '_blocks.2')]
variants = dict(
    no_rooms=dict(options={f'{weights}.rooms': 0.0}),
    rooms_10=dict(options={f'{weights}.rooms': 0.12}),
    rooms_25=dict(options={f'{weights}.rooms': 0.33}),
    decibels=dict(options={'model.losses.pixel': dict(type='PSNRLoss', eps=1e-4, loss_weight=0.005)}),
    learning_encoder=dict(options={
        'model.frozen': early,
        'optim_wrapper.paramwise_cfg': dict(custom_keys={'network.encoder': dict(lr_mult=0.1)})}))
domains = dict(none=dict(test=['sots', 'ohaze', 'tinted', 'glow']))  # nothing is left out
seeds = [0, 1, 2]

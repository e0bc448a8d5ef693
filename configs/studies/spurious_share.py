# Why reweighting did not help in studies/spurious: what it gains, and what it costs.
# restorekit study studies/spurious_share --out work_dirs/spurious_share --data-root DATA
hypothesis = '''
Written after three seeds of studies/spurious: decorrelation raises the weight of the rare combinations from 5 to 12 % (12
is what tools/research/rare_weights.py measures), halves the effective sample size, and is 0.2 dB worse on them than plain
training, which a balanced mixture beats by 0.8 dB. (1) Sampling 12 % of them, instead of weighting 5 % up, gains 0.1 to
0.4 dB over sampling 5 %. (2) Half the batch costs 0.1 to 0.3 dB. If both hold, what reweighting gains is eaten by the
variance that it adds.
'''
analysis = '''
Plain training, beside plain training on the spurious mixture of studies/spurious, on the same test images and seeds (0 to
2); differences seed by seed, the interval Student's over the three seeds.
'''
base = 'domains/spurious'
options = {'train_cfg.max_iters': 60, 'train_cfg.val_interval': 60, 'val_evaluator': [dict(type='PSNR')]}
variants = dict(erm=dict())
weights = 'train_dataloader.dataset.source.weights'
rare = ['indoor_white', 'outdoor_yellow']
domains = dict(
    share_12=dict(test=rare, options={
        f'{weights}.indoor_yellow': 0.44, f'{weights}.indoor_white': 0.06,
        f'{weights}.outdoor_white': 0.44, f'{weights}.outdoor_yellow': 0.06}),
    half_batch=dict(test=rare, options={
        f'{weights}.indoor_yellow': 0.475, f'{weights}.indoor_white': 0.025,
        f'{weights}.outdoor_white': 0.475, f'{weights}.outdoor_yellow': 0.025, 'train_dataloader.batch_size': 32}))
seeds = [0, 1, 2]

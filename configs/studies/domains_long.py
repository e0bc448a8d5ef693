# Five times the training of studies/domains_first, plain and with all of CID.
# restorekit study studies/domains_long --out work_dirs/domains_long --data-root DATA
hypothesis = '''
(1) Plain training for 600 iterations is 0.5 to 1 dB better than for 120 on the domains trained on, and within 0.3 dB on
the left-out ones: what is learnt after the first hundred steps is the sources. (2) All of CID is within 0.3 dB of plain
training on the left-out domains, as it was at 120 iterations, since its alignment still sees 16 images at a time.
'''
analysis = '''
(1) Means of plain training beside those of studies/domains_first, seed by seed; the interval of the difference is
Student's over the seeds. (2) CID minus plain training on the same seeds and images, the 95 % interval a bootstrap over
seeds and images. With 6 cells (domain, seed) p of the mean cannot be below 0.03.
'''
base = 'domains/erm'
options = {'train_cfg.max_iters': 600, 'train_cfg.val_interval': 300, 'val_evaluator': [dict(type='PSNR')]}
variants = dict(erm=dict(), cid=dict(config='domains/cid'))

source, target = 'train_dataloader.dataset.source.weights', 'train_dataloader.dataset.target.weights'
domains = dict(
    real=dict(test=['ohaze', 'tinted'], options={
        f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.ohaze': 1.0, f'{target}.tinted': 1.0}),
    dust=dict(test=['dust', 'tinted'], options={
        f'{source}.dust': 0.0, f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.dust': 1.0, f'{target}.tinted': 1.0}))
seeds = [0, 1, 2]

# Twelve new seeds for the adversary on normalised embeddings where colour differs, with the decoder that normalises.
# restorekit study studies/adversary_seeds --out work_dirs/adversary_seeds --data-root DATA
hypothesis = '''
Written before any run of it. studies/adversary left the question open: +0.38 dB (0.04 to 0.73, p 0.087) over four domains
and three seeds, dust +1.02 with a spread of 1.0 dB over seeds; and the decoder has changed since. With twelve seeds on
the two domains where colour differs: (1) the adversary gains, by 0.2 to 0.8 dB on the mean of both, and p is below 0.05.
(2) It gains more on dust than on real. (3) It spreads more over seeds than plain training.
'''
analysis = '''
PSNR (protocol rgb, full size) of the left-out domain's test images; variant minus plain training on the same seeds and
images; sign-flip test over the 24 cells (domain, seed), one comparison, so that nothing is corrected; each domain alone
second, as in studies/domains_first. The seeds are 6 to 17, of which no run was seen. Nothing is tuned. Seeds are run in
their order; if time ends before the last, the page says how many, and no look at the numbers decides when to stop.
'''
base = 'domains/erm'
options = {'train_cfg.max_iters': 120, 'train_cfg.val_interval': 120, 'val_evaluator': [dict(type='PSNR')]}

source, target = 'train_dataloader.dataset.source.weights', 'train_dataloader.dataset.target.weights'
variants = dict(erm=dict(), adversarial_normalised=dict(config='domains/adversarial_normalised'))
domains = dict(
    real=dict(test=['ohaze', 'tinted'], options={
        f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.ohaze': 1.0, f'{target}.tinted': 1.0}),
    dust=dict(test=['dust', 'tinted'], options={
        f'{source}.dust': 0.0, f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.dust': 1.0, f'{target}.tinted': 1.0}))
seeds = [*range(6, 18)]
detect = 0.2

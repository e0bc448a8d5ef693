# What there is to gain: plain training on every domain, tested on those that studies/domains_first leaves out.
# restorekit study studies/domains_room --out work_dirs/domains_room --data-root DATA
hypothesis = 'With the domain in the mixture its PSNR is at least 1 dB higher than without, on each of the four domains.'
analysis = 'Means over three seeds, beside those of ERM in studies/domains_first with the domain left out.'
base = 'domains/erm'
options = {'train_cfg.max_iters': 120, 'train_cfg.val_interval': 120, 'val_evaluator': [dict(type='PSNR')]}
variants = dict(erm=dict())
domains = dict(none=dict(test=['indoor', 'ohaze', 'tinted', 'fog', 'dust']))  # nothing is left out
seeds = [0, 1, 2]

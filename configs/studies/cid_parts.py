# What each part of CID adds on domains that were trained for, at equal iterations, images and seeds.
# restorekit study studies/cid_parts --out work_dirs/cid_parts --data-root DATA
hypothesis = '''
Training on rendered indoor and outdoor haze alone loses at least 2 dB on tinted images against training on all domains,
and about 1 dB on true-colour haze; on indoor haze it is better by 0 to 0.5 dB. Reweighting, alignment with real photos at
16 images a batch, and both together are within 0.3 dB of plain training on all domains, everywhere.
'''
analysis = '''
PSNR (protocol rgb) on scenes that were not trained on; variant minus plain training on all domains, on the same seeds and
images; over indoor, tinted and true-colour O-HAZE images together: p the larger of a sign-flip test over images and a t
test over seeds, Holm over the four variants. Nothing is left out of the mixture, so this says what a part adds to a
domain that was trained for, not how it generalises. 120 iterations of 16 images, as in studies/domains_first.
'''
base = 'domains/erm'
options = {'train_cfg.max_iters': 120, 'train_cfg.val_interval': 120, 'val_evaluator': [dict(type='PSNR')]}
source = 'train_dataloader.dataset.source.weights'
variants = dict(
    multi_domain=dict(),
    source_only=dict(options={
        f'{source}.{name}': 0.0 for name in ('ohaze', 'tinted', 'fog', 'dust', 'night', 'low_light', 'underwater')}),
    reweighting=dict(config='domains/decorrelation'), alignment=dict(config='domains/coral'),
    everything=dict(config='domains/cid'))
domains = dict(none=dict(test=['indoor', 'tinted', 'ohaze']))  # nothing is left out
seeds = [0, 1, 2]

# Two domains with room, and what studies/domains_first left open: an adversary that cannot grow without end, a teacher on
# real photos, and the encoder: frozen, learning from its ImageNet weights, or from scratch.
# restorekit study studies/domains_more --out work_dirs/domains_more --data-root DATA
hypothesis = '''
(1) The adversarial classifier on normalised embeddings no longer ruins training: within 0.5 dB of plain training on both
domains, on average a loss. (2) Consistency on real photos of other places (fog, sandstorms, the web) changes the
left-out domains by less than 0.3 dB: its weight is a tenth, and a network that is consistent need not be right about
colour. (3) An encoder that learns from its ImageNet weights is better by 0.2 to 0.5 dB on the domains trained on, and
within 0.5 dB on the left-out ones. (4) An encoder from scratch is worse than the frozen one by 0.3 to 1 dB on the left-out
domains, less on the others: the haze prior, which needs no training, is left to it.
'''
analysis = '''
As in studies/domains_first: PSNR (protocol rgb, full size) of the left-out domain's test images; variant minus plain
training on the same seeds and images; sign-flip test over the 6 cells (domain, seed), Holm over the four variants; each
domain alone second. With 6 cells p cannot be below 0.03, and not below 0.05 after Holm: of the mean over the domains this
study can show intervals only. Three seeds, one setting of each method, the same as in domains_first, 120 iterations of 16.
'''
base = 'domains/erm'
options = {'train_cfg.max_iters': 120, 'train_cfg.val_interval': 120, 'val_evaluator': [dict(type='PSNR')]}

source, target = 'train_dataloader.dataset.source.weights', 'train_dataloader.dataset.target.weights'
photos = {f'{target}.photos': 1.0, f'{target}.dust': 0.0, f'{target}.ohaze': 0.0, f'{target}.tinted': 0.0}
variants = dict(
    erm=dict(), adversarial_normalised=dict(config='domains/adversarial_normalised'),
    consistency_photos=dict(config='domains/consistency', options=photos),
    encoder_learns=dict(config='domains/trained_encoder'),
    encoder_scratch=dict(config='domains/trained_encoder', options={
        'model.network.encoder.features.pretrained': False}))
domains = dict(
    real=dict(test=['ohaze', 'tinted'], options={
        f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.ohaze': 1.0, f'{target}.tinted': 1.0}),
    dust=dict(test=['dust', 'tinted'], options={
        f'{source}.dust': 0.0, f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.dust': 1.0, f'{target}.tinted': 1.0}))
seeds = [0, 1, 2]

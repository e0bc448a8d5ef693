# CID's third phase with the batches that second-order statistics need: plain training first, then alignment of 128 source
# with 128 target images at a time, on cached features. Which statistic, of what, and in which order of the phases.
# restorekit study studies/alignment_batches --out work_dirs/alignment_batches --data-root DATA
hypothesis = '''
At 128 images CORAL of pooled embeddings is mostly signal (on networks of domains_first, dust left out: 0.056, and 0.006
between two batches of the sources; real: 0.024 and 0.005), of single positions too (0.43 and 0.04), of whitened positions
0.08 and 0.02; of whitened pooled embeddings it is noise (0.23 and 0.21), since 96 dimensions need thousands of rows, so
that one is left out. (1) If sampling noise was what kept CORAL from helping in domains_first, coral, tokens or
whitened_tokens gain at least 0.3 dB over the same phase without alignment on dust or real. We expect less: within 0.3 dB
on both, because the decoder must see the colour of the dust to remove it, and alike statistics hide it. (2) Means and
covariances together, which hide a colour cast best, lose most, on dust. (3) Aligning first and training after is
nothing: within 0.2 dB, since training undoes it. (4) Alignment of whitened positions changes least.
'''
analysis = '''
PSNR (protocol rgb, full size) of the left-out domain's test images; variant minus plain (the same two phases without
alignment) on the same seeds and images; sign-flip test over the 6 cells (domain, seed), Holm over the variants; each
domain alone second, p the larger of a sign-flip test over images and a t test over seeds. With 6 cells p of the mean is
0.03 at best, and not below 0.05 after Holm: of the mean this study can show intervals only. Three seeds. The weights make
alignment's gradient as large as all other terms' on the network before the phase (mean of two networks, training data
alone): ten times the strength of domains_first, so that an effect, good or bad, can be seen.
'''
base = 'domains/two_phases'
options = {'val_evaluator': [dict(type='PSNR')]}

align = 'phases.adapt.model.alignment'
coral = {align: dict(type='CORALLoss', bounded=False, loss_weight=0.2)}
tokens = dict(type='CORALLoss', bounded=False, samples='tokens')
variants = dict(
    plain=dict(), coral=dict(options=coral), tokens=dict(options={align: dict(tokens, loss_weight=0.03)}),
    whitened_tokens=dict(options={align: dict(tokens, estimator='whitened', loss_weight=0.25)}),
    mean_covariance=dict(options={align: dict(type='MeanCovarianceLoss', loss_weight=0.03)}),
    coral_first=dict(config='domains/two_phases_reversed', options=coral))

source, target = 'train_dataloader.dataset.source.weights', 'train_dataloader.dataset.target.weights'
domains = dict(
    real=dict(test=['ohaze', 'tinted'], options={
        f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.ohaze': 1.0, f'{target}.tinted': 1.0}),
    dust=dict(test=['dust', 'tinted'], options={
        f'{source}.dust': 0.0, f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.dust': 1.0, f'{target}.tinted': 1.0}))
seeds = [0, 1, 2]

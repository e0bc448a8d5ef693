# What each part of CID adds on real images with a small network, at equal iterations, images and seeds.
# restorekit study studies/cid_parts --out work_dirs/cid_parts --data-root DATA
hypothesis = '''
Multi-domain data closes most of the gap to a domain that was not rendered for it; reweighting and alignment at 8 images
a batch change the results by less than the spread over seeds, since two thirds of the alignment term is then sampling
noise (tools/research/alignment_noise.py).
'''
analysis = '''
PSNR (protocol rgb) on scenes that were not trained on; variant minus multi-domain data on the same seeds and images;
over indoor, tinted (sand) and true-colour O-HAZE images together. Nothing is left out of the mixture, so this says what
a part adds to a domain that was trained for, not how it generalises; that is what studies/domains is for.
'''
base = 'cid/cid_ablation'
source = 'train_dataloader.dataset.source'
reweighter = {'phases.train.model.reweighter': dict(
    type='DecorrelationReweighter', num_maps=2, dims=64, bank_size=64, target_ess=0.8)}
alignment = {'phases.train.model.alignment': dict(type='CORALLoss', bounded=True, loss_weight=0.5)}
variants = dict(
    multi_domain=dict(),
    source_only=dict(options={
        f'{source}.weights.camvid': 0.0, f'{source}.weights.bsds': 0.0,
        f'{source}.datasets.sots.pipeline.degrade.degradation': dict(
            type='AtmosphericScattering', beta=(0.6, 1.8), airlight=(0.7, 1.0))}),
    reweighting=dict(options=reweighter),
    alignment=dict(options=alignment),
    everything=dict(options={**reweighter, **alignment}))
domains = dict(none=dict(test=['sots_indoor', 'sand_dust', 'ohaze']))  # nothing is left out
seeds = [0, 1, 2]

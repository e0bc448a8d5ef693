# Reweighting where theory says it should help: a mixture in which scene and haze go together, and one in which they do not.
# restorekit study studies/spurious --out work_dirs/spurious --data-root DATA
hypothesis = '''
In the spurious mixture 95 of 100 indoor scenes have much yellow haze and 95 of 100 outdoor scenes little white haze; the
test sets have the other combinations alone. (1) Plain training on it is at least 0.5 dB worse on them than plain training
on the balanced mixture. (2) Reweighting until the embedding decorrelates wins back some of that, 0.1 to 0.5 dB: it can
give the 5 % that contradict the correlation at most five times their weight. The density ratio does the same or less. (3)
GroupDRO, which is told the four groups, wins back more than either. (4) On the balanced mixture none of the three changes
more than 0.2 dB. If (2) fails although (1) holds, reweighting by an unlabelled embedding does not do what it is for.
'''
analysis = '''
PSNR (protocol rgb) on the combinations that are rare in the spurious mixture (10 indoor and 43 outdoor pictures);
variant minus plain training on the same mixture, seeds and images, separately for the spurious and the balanced mixture:
p the larger of a sign-flip test over images and a t test over seeds, Holm over the six rows. What the correlation costs
is plain training, balanced minus spurious, seed by seed, with Student's interval. 60 iterations of 64 images; five seeds.
Of each method one setting, stronger than in configs/domains so that it has its chance: no part of the loss without
weights (anchor 0), and an effective sample size of half the batch for decorrelation.
'''
base = 'domains/spurious'
options = {'train_cfg.max_iters': 60, 'train_cfg.val_interval': 60, 'val_evaluator': [dict(type='PSNR')]}
variants = dict(
    erm=dict(),
    decorrelation=dict(options={'model.anchor': 0.0, 'model.reweighter': dict(
        type='DecorrelationReweighter', num_maps=2, dims=64, bank_size=256, target_ess=0.5)}),
    density_ratio=dict(options={'model.anchor': 0.0, 'model.reweighter': dict(type='DensityRatioReweighter')}),
    group_dro=dict(options={'model.group_weighting': dict(
        type='GroupDRO', step=0.1, domains=['indoor_yellow', 'indoor_white', 'outdoor_white', 'outdoor_yellow'])}))
weights = 'train_dataloader.dataset.source.weights'
rare = ['indoor_white', 'outdoor_yellow']
domains = dict(
    spurious=dict(test=rare, options={
        f'{weights}.indoor_yellow': 0.475, f'{weights}.indoor_white': 0.025,
        f'{weights}.outdoor_white': 0.475, f'{weights}.outdoor_yellow': 0.025}),
    balanced=dict(test=rare))
seeds = [0, 1, 2, 3, 4]

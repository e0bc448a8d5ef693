# The whole benchmark: every method, three trials of its hyper-parameter each, eight left-out domains, three seeds: 1296
# jobs of half a minute or more of one CPU core. Started again, on one machine or many, it continues:
# restorekit study studies/domains --out work_dirs/domains --data-root DATA --workers 4
hypothesis = '''
As in studies/domains_first; and: of the methods that see no image of the left-out domain, none gains 0.2 dB on average.
Of those that see its inputs, the ones that move colour statistics (mean and covariance, adversarial, CORAL) gain on
dust, real and underwater, and lose on low light and night, where the target's darkness is what has to be removed.
Density-conditional CORAL loses less than CORAL on indoor and fog. Consistency gains on real only. Adaptation at test
time and adaptive BatchNorm stay within 0.2 dB.
'''
analysis = '''
PSNR (protocol rgb, full size) of the left-out domain, mean over the eight; variant minus ERM on the same seeds and
images; sign-flip test over the cells (domain, seed), Holm over the variants; each domain alone second. Of each method
the trial with the best PSNR on the test images of the domains trained on is reported, so the left-out domain has no say
(Gulrajani and Lopez-Paz, 2021: training-domain validation); their own mean, in the column "others", is therefore a
little flattered. Low light and road fog have rendered pairs only. adaptive_batch_norm trains another network: its
difference to ERM is not that of a method alone. All runs are reported.
'''
base = 'domains/erm'
options = {'train_cfg.max_iters': 400, 'train_cfg.val_interval': 200, 'val_evaluator': [dict(type='PSNR')]}

rates = [{'optim_wrapper.optimizer.lr': 5e-4}, {'optim_wrapper.optimizer.lr': 1e-3}, {'optim_wrapper.optimizer.lr': 2e-3}]
gain = 'model.alignment.loss_weight'
strong = [{gain: 1.0}, {gain: 10.0}, {gain: 100.0}]
middle = [{gain: 0.03}, {gain: 0.3}, {gain: 3.0}]
weak = [{gain: 0.02}, {gain: 0.2}, {gain: 2.0}]
effective = 'model.reweighter.target_ess'
shares = [{effective: 0.6}, {effective: 0.8}, {effective: 0.95}]
teacher = 'model.consistency.loss_weight'
norm = 'AdaptiveBatchNormHook'
variants = dict(
    erm=dict(trials=rates),
    natural_mixture=dict(config='domains/natural_mixture', trials=rates),
    mixup=dict(config='domains/mixup', trials=rates),
    group_dro=dict(config='domains/group_dro', trials=[
        {'model.group_weighting.step': 0.01}, {'model.group_weighting.step': 0.1}, {'model.group_weighting.step': 1.0}]),
    decorrelation=dict(config='domains/decorrelation', trials=shares),
    density_ratio=dict(config='domains/density_ratio', trials=[
        {'model.reweighter.ridge': 0.1}, {'model.reweighter.ridge': 1.0}, {'model.reweighter.ridge': 10.0}]),
    coral_sources=dict(config='domains/coral_sources', trials=middle),
    coral=dict(config='domains/coral', trials=strong),
    coral_queue=dict(config='domains/coral_queue', trials=weak),
    coral_density=dict(config='domains/coral_density', trials=strong),
    mean_covariance=dict(config='domains/mean_covariance', trials=middle),
    mmd=dict(config='domains/mmd', trials=weak),
    adversarial=dict(config='domains/adversarial', trials=weak),
    adversarial_normalised=dict(config='domains/adversarial_normalised', trials=weak),
    consistency=dict(config='domains/consistency', trials=[{teacher: 0.01}, {teacher: 0.1}, {teacher: 1.0}]),
    cid=dict(config='domains/cid', trials=strong),
    test_time=dict(config='domains/test_time', trials=[
        {'model.step_size': 0.001}, {'model.step_size': 0.01}, {'model.step_size': 0.1}]),
    adaptive_batch_norm=dict(config='domains/adaptive_batch_norm', trials=[
        {'custom_hooks': [dict(type=norm, share=0.25)]}, {'custom_hooks': [dict(type=norm, share=0.5)]},
        {'custom_hooks': [dict(type=norm, share=1.0)]}]))

source, target = 'train_dataloader.dataset.source.weights', 'train_dataloader.dataset.target.weights'
domains = dict(
    indoor=dict(options={f'{source}.indoor': 0.0, f'{target}.photos': 0.0, f'{target}.indoor': 1.0}),
    outdoor=dict(options={f'{source}.outdoor': 0.0, f'{target}.photos': 0.0, f'{target}.outdoor': 1.0}),
    # tinted and true O-HAZE show the same scenes: neither is trained on where one of them is left out
    real=dict(test=['ohaze', 'tinted'], options={
        f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.ohaze': 1.0, f'{target}.tinted': 1.0}),
    dust=dict(test=['dust', 'tinted'], options={
        f'{source}.dust': 0.0, f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.dust': 1.0, f'{target}.tinted': 1.0}),
    night=dict(test=['night', 'glow'], options={
        f'{source}.night': 0.0, f'{target}.photos': 0.0, f'{target}.night': 1.0}),
    low_light=dict(options={f'{source}.low_light': 0.0, f'{target}.photos': 0.0, f'{target}.low_light': 1.0}),
    underwater=dict(test=['underwater', 'sea'], options={
        f'{source}.underwater': 0.0, f'{target}.photos': 0.0, f'{target}.underwater': 1.0}),
    fog=dict(options={f'{source}.fog': 0.0, f'{target}.photos': 0.0, f'{target}.fog': 1.0}))
seeds = [0, 1, 2]

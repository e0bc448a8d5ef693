# CID and its two parts on two rendered domains, which can have any number of test images, with seeds to see 0.2 dB.
# restorekit study studies/domains_power --out work_dirs/domains_power --data-root DATA
hypothesis = '''
Written before any run of it. studies/domains_first, with three seeds, left decorrelation and CORAL open and found all of
CID worse by 0.16 dB (0.04 to 0.27) over four domains; of single domains it could see no less than 0.44 dB. On fog and dust,
each with new seeds and five to eight times the test images: (1) decorrelation changes the mean of both by less than 0.1 dB.
(2) CORAL changes it by less than 0.2 dB, towards the loss. (3) All of CID is within 0.1 dB of CORAL alone, and a loss.
'''
analysis = '''
PSNR (protocol rgb, full size) of the left-out domain's test images, 86 of fog and 100 of rendered dust; variant minus plain
training on the same seeds and images; sign-flip test over the cells (domain, seed), Holm over the three variants; each domain
alone second, as in studies/domains_first. The seeds are 18 to 31, of which no run was seen. One setting of each method, that
of domains_first. Seeds are run in their order; if time ends before the last, the page says how many, and no look at the
numbers decides when to stop.
'''
base = 'domains/erm'
test = 'val_dataloader.dataset.datasets'
options = {'train_cfg.max_iters': 120, 'train_cfg.val_interval': 120, 'val_evaluator': [dict(type='PSNR')],
           f'{test}.dust.include': '*.jpg', f'{test}.fog.include': 'Seq05VD*'}

source, target = 'train_dataloader.dataset.source.weights', 'train_dataloader.dataset.target.weights'
variants = dict(
    erm=dict(), decorrelation=dict(config='domains/decorrelation'), coral=dict(config='domains/coral'),
    cid=dict(config='domains/cid'))
domains = dict(
    fog=dict(options={f'{source}.fog': 0.0, f'{target}.photos': 0.0, f'{target}.fog': 1.0}),
    dust=dict(test=['dust'], options={
        f'{source}.dust': 0.0, f'{source}.ohaze': 0.0, f'{source}.tinted': 0.0,
        f'{target}.photos': 0.0, f'{target}.dust': 1.0, f'{target}.tinted': 1.0}))
seeds = [*range(18, 32)]
detect = 0.2

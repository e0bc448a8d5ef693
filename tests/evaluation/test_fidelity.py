import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorekit.evaluation import PSNR, SSIM
from restorekit.evaluation.metrics import base
from restorekit.registry import METRICS
from restorekit.structures import RestoreSample

torch.set_num_threads(1)


def _sample(seed, domain=None, size=(20, 23), gt=True):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8)
    sample = RestoreSample(metainfo={'img_path': f'{seed}.png'} | ({'domain': domain} if domain else {}))
    sample.pred = (image / 255 + 0.05 * seed * torch.randn(image.shape, generator=generator)).clamp(0, 1)
    if gt:
        sample.gt = image
    return sample, (image // 2)


def _evaluate(metric, samples, inputs):
    evaluator = Evaluator([metric])
    for sample, image in zip(samples, inputs, strict=True):
        evaluator.process([sample], {'inputs': [image]})
    return evaluator.evaluate(len(samples))


def test_means_per_domain_equal_scikit_image():
    samples, inputs = zip(_sample(1, 'haze'), _sample(2, 'dust'), _sample(3, 'haze'), strict=True)
    for metric, measure in (
            (METRICS.build({'type': 'PSNR'}), lambda a, b: peak_signal_noise_ratio(b, a, data_range=1.0)),
            (METRICS.build({'type': 'SSIM'}), lambda a, b: structural_similarity(
                b, a, channel_axis=0, data_range=1.0, gaussian_weights=True, use_sample_covariance=False,
                truncate=5 / 1.5, full=True)[1][:, 5:-5, 5:-5].mean())):
        values = _evaluate(metric, samples, inputs)
        name = metric.quantity
        assert set(values) == {f'{domain}/{kind}{name}@rgb' for domain in ('haze', 'dust') for kind in ('', 'input_')}
        truth = [s.gt.double().numpy() / 255 for s in samples]
        scores = [measure(s.pred.double().numpy(), t) for s, t in zip(samples, truth, strict=True)]
        doing_nothing = [measure(i.double().numpy() / 255, t) for i, t in zip(inputs, truth, strict=True)]
        assert values[f'haze/{name}@rgb'] == pytest.approx(np.mean([scores[0], scores[2]]), abs=2e-5)
        assert values[f'dust/{name}@rgb'] == pytest.approx(scores[1], abs=2e-5)
        assert values[f'haze/input_{name}@rgb'] == pytest.approx(
            np.mean([doing_nothing[0], doing_nothing[2]]), abs=2e-5)
        assert [(r['img_path'], r['domain']) for r in metric.last_results] == [
            ('1.png', 'haze'), ('2.png', 'dust'), ('3.png', 'haze')]
        assert metric.last_results[1]['value'] == pytest.approx(scores[1], abs=2e-5)


def test_protocol_stands_in_the_key_and_matters():
    sample, image = _sample(2)
    values = {}
    for protocol in ('rgb', 'rgb-uint8', 'y-matlab'):
        values |= _evaluate(PSNR(protocol, baseline=False), [sample], [image])
    assert list(values) == ['PSNR@rgb', 'PSNR@rgb-uint8', 'PSNR@y-matlab']
    assert values['PSNR@y-matlab'] - values['PSNR@rgb'] > 2


def test_a_perfect_image_counts_as_100_db():
    perfect, image = _sample(0)
    noisy, _ = _sample(1)
    metric = PSNR(baseline=False)
    alone = _evaluate(metric, [noisy], [image])['PSNR@rgb']
    assert _evaluate(metric, [perfect, noisy], [image, image])['PSNR@rgb'] == pytest.approx((100 + alone) / 2)


def test_without_ground_truth_nothing_is_reported_and_one_warning_given(monkeypatch):
    said = []
    monkeypatch.setattr(base, 'log', said.append)
    metric = SSIM()
    samples, inputs = zip(_sample(1, gt=False), _sample(2, gt=False), strict=True)
    assert _evaluate(metric, samples, inputs) == {} == _evaluate(metric, samples, inputs)
    assert said == [
        'SSIM@rgb: 2 of 2 images have no ground truth (gt) or could not be read, and are not measured']
    with_truth, image = _sample(3)
    assert _evaluate(metric, [*samples, with_truth], [*inputs, image])['SSIM@rgb'] < 1
    assert metric.num_skipped == 2


def test_one_row_per_image_so_that_processes_can_be_gathered():
    metric = PSNR()
    broken = {'img_path': 'b.png', 'broken': True, 'test_index': 7}
    for sample, image in (_sample(1, gt=False), _sample(2, 'haze')):
        metric.process({'inputs': image[None]}, [sample.to_dict()])
    metric.process({'inputs': image[None]}, [broken])
    nothing = {'domain': None, 'value': None, 'baseline': None}
    assert metric.results[0] == {'index': None, 'img_path': '1.png', **nothing}
    assert [type(entry) for entry in metric.results[1].values()] == [type(None), str, str, float, float]
    assert metric.results[2] == {'index': 7, 'img_path': 'b.png', **nothing}


def test_numbers_do_not_depend_on_the_batch_or_the_order():
    samples, inputs = zip(*(_sample(seed, size=(20 + seed % 2, 23)) for seed in range(7)), strict=True)
    samples = [sample.to_dict() for sample in samples]
    for name in ('PSNR', 'SSIM'):
        rows = {}
        for how, order in (('one by one', [[i] for i in range(7)]), ('threes', [[0, 1, 2], [3, 4, 5], [6]]),
                           ('another order', [[6, 2], [0, 5, 1, 3], [4]])):
            metric = METRICS.build({'type': name})
            for batch in order:
                metric.process({'inputs': [inputs[i] for i in batch]}, [samples[i] for i in batch])
            rows[how] = sorted((row['img_path'], row['value'], row['baseline']) for row in metric.results)
        assert rows['one by one'] == rows['threes'] == rows['another order']


def test_offline_evaluation_has_no_baseline():
    sample, _ = _sample(1)
    assert list(Evaluator([PSNR()]).offline_evaluate([sample])) == ['PSNR@rgb']


def test_sizes_that_differ_name_the_file():
    sample, image = _sample(1)
    with pytest.raises(ValueError, match=r'1.png: the input \(set baseline=False.*\(3, 20, 22\).*\(3, 20, 23\)'):
        _evaluate(PSNR(), [sample], [image[..., 1:]])
    sample.pred = sample.pred[:, 1:]
    with pytest.raises(ValueError, match=r'1.png: the prediction is \(3, 19, 23\).*ground truth \(3, 20, 23\)'):
        _evaluate(PSNR(), [sample], [image])


def test_sample_without_prediction():
    with pytest.raises(ValueError, match='3.png: the sample has no `pred`'):
        PSNR().process(None, [{'img_path': '3.png', 'gt': torch.zeros(3, 4, 4)}])


def test_unknown_protocol():
    with pytest.raises(ValueError, match="did you mean 'y-matlab'"):
        METRICS.build({'type': 'PSNR', 'protocol': 'y-matlap'})


def written_out_ms_ssim(pred, gt):
    """MS-SSIM of one plane by the formula of Wang et al. (2003), window by window."""
    x = np.arange(11) - 5
    kernel = np.exp(-(x[:, None]**2 + x**2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    product = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            pred, gt = (image[:image.shape[0] // 2 * 2, :image.shape[1] // 2 * 2] for image in (pred, gt))
            pred, gt = ((image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4
                        for image in (pred, gt))
        a, b = (np.lib.stride_tricks.sliding_window_view(image, (11, 11)) for image in (pred, gt))

        def mean(values):
            return np.einsum('ijkl,kl->ij', values, kernel)
        mean_a, mean_b = mean(a), mean(b)
        covariance = mean(a * b) - mean_a * mean_b
        variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
        similarity = (2 * covariance + 0.03**2) / (variances + 0.03**2)
        if scale == 4:
            similarity = similarity * (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
        product *= similarity.mean() ** weight
    return product


def test_ms_ssim_of_a_colour_image_is_the_mean_of_its_written_out_channels():
    rng = np.random.default_rng(0)
    gt = np.clip(np.cumsum(rng.normal(0, 0.05, (3, 177, 190)), axis=2) + 0.5, 0, 1)
    pred = np.clip(0.8 * gt + rng.normal(0, [[[0.02]], [[0.1]], [[0.2]]], gt.shape), 0, 1)
    metric = METRICS.build({'type': 'MSSSIM', 'baseline': False})
    metric.process(None, [{'pred': torch.from_numpy(pred), 'gt': torch.from_numpy(gt)}])
    channels = [written_out_ms_ssim(*(image.astype(np.float32).astype(float) for image in pair))
                for pair in zip(pred, gt, strict=True)]
    assert max(channels) - min(channels) > 0.05  # so that their product or another mean would be noticed
    assert metric.results[0]['value'] == pytest.approx(np.mean(channels), abs=2e-6)

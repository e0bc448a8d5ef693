"""What all metrics share, and that the contract notices who breaks it."""

import math

import pytest
import torch

from restorekit.evaluation import PSNR, SSIM, ImageMetric
from restorekit.evaluation.metrics import base
from restorekit.messages import InputError
from restorekit.registry import METRICS
from restorekit.testing import check_metric


class Brightness(ImageMetric):
    """Distance of the mean brightness: a stranger's metric."""

    quantity, source, higher_is_better = 'Brightness', 'mine', False

    def measure(self, pred, gt):
        return (pred.mean(dim=(1, 2, 3)) - gt.mean(dim=(1, 2, 3))).abs()


class WrongDirection(Brightness):
    higher_is_better = True


class LeftOut(Brightness):
    def process(self, data_batch, data_samples):
        super().process(data_batch, [sample for sample in data_samples if sample.get('gt') is not None])


class InPlace(Brightness):
    def process(self, data_batch, data_samples):
        super().process(data_batch, data_samples)
        for sample in data_samples:
            if not sample.get('broken'):
                sample['pred'].mul_(0.5)


class WholeBatch(Brightness):
    """Measures with the mean of the batch."""

    def process(self, data_batch, data_samples):
        super().process(data_batch, data_samples)
        rows = [row for row in self.results[-len(data_samples):] if row['value'] is not None]
        mean = sum(row['value'] for row in rows) / max(len(rows), 1)
        for row in rows:
            row['value'] = mean


class OneNumber(Brightness):
    def measure(self, pred, gt):
        return super().measure(pred, gt).mean()[None]


class Draws(Brightness):
    def measure(self, pred, gt):
        return super().measure(pred, gt) + 1e-9 * torch.rand(1)


def test_a_strangers_metric_keeps_the_contract():
    check_metric(Brightness())


@pytest.mark.parametrize('kind, message', [
    (WrongDirection, 'equal images must be the best'), (LeftOut, 'one row per sample'),
    (InPlace, 'depends on the batch|changed what it was given'), (WholeBatch, 'depends on the batch or the order'),
    (OneNumber, 'for N images'), (Draws, 'changed the global random state')])
def test_the_contract_notices(kind, message):
    with pytest.raises(AssertionError, match=message):
        check_metric(kind())


@pytest.mark.parametrize('name', ['PSNR', 'SSIM', 'MSSSIM', 'MAE', 'CIEDE2000'])
def test_images_of_one_size_measured_together_as_on_a_device_equal_each_alone(name, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    samples, inputs = [], []
    for width in (176, 180, 176, 180, 176):
        gt = torch.randint(0, 256, (3, 176, width), generator=generator, dtype=torch.uint8)
        samples.append({'gt': gt, 'pred': (gt / 255 * 0.8 + 0.1 * torch.rand(gt.shape, generator=generator))})
        inputs.append(gt // 2)
    rows = []
    for alone in (True, False):
        calls = []
        metric = METRICS.build({'type': name})
        measure = metric.measure
        monkeypatch.setattr(metric, 'measure', lambda a, b, measure=measure, calls=calls: calls.append(len(a)) or
                            measure(a, b))
        monkeypatch.setattr(base, '_alone', lambda image, alone=alone: alone)
        metric.process({'inputs': inputs}, samples)
        rows.append([(row['value'], row['baseline']) for row in metric.results])
        # predictions are float and inputs 8-bit: two sizes of each
        assert sorted(calls) == ([1] * 10 if alone else [2, 2, 3, 3])
    torch.testing.assert_close(torch.tensor(rows[0]), torch.tensor(rows[1]), atol=2e-5, rtol=0)


def test_a_metric_that_cannot_measure_an_image_names_the_file():
    metric = METRICS.build({'type': 'PSNR', 'protocol': {'name': 'inner', 'crop_border': 60}})
    image = torch.zeros(3, 100, 300)
    with pytest.raises(ValueError, match="fog.png: protocol 'inner' cuts 60 pixels from each side, which leaves"):
        metric.process(None, [{'img_path': 'fog.png', 'pred': image, 'gt': image}])


def test_an_image_too_small_for_a_metric_is_left_out_and_counted(monkeypatch):
    said = []
    monkeypatch.setattr(base, 'log', said.append)
    metric = METRICS.build({'type': 'MSSSIM'})
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((176, 180), (175, 300), (200, 176))]
    samples = [{'pred': image / 255, 'gt': image, 'test_index': i} for i, image in enumerate(images)]
    metric.process({'inputs': images}, samples)
    assert [(row['value'], row['baseline']) for row in metric.results] == [(1, 1), (None, None), (1, 1)]
    assert metric.evaluate(3) == {'MS-SSIM@rgb': 1.0, 'input_MS-SSIM@rgb': 1.0} and metric.num_skipped == 1
    assert said == ['MS-SSIM@rgb: 1 of 3 images have no ground truth (gt), could not be read or are smaller than 176 '
                    'pixels, and are not measured']
    # what counts is the size that the protocol measures
    resized = METRICS.build({'type': 'MSSSIM', 'protocol': 'size-256'})
    resized.process({'inputs': images}, samples)
    assert all(row['value'] == 1 for row in resized.results)


def test_a_mean_of_infinities_of_both_signs_is_no_error():
    assert base.mean([1.0, 2.0]) == 1.5 and math.isnan(base.mean([math.inf, -math.inf, 1.0]))


def test_update_compute_and_reset():
    generator = torch.Generator().manual_seed(0)
    pred, gt = torch.rand(4, 3, 12, 14, generator=generator), torch.rand(4, 3, 12, 14, generator=generator)
    one, other = PSNR('rgb-uint8'), PSNR('rgb-uint8', baseline=False)
    one.update(pred[:3], gt[:3])
    one.update(pred[3], gt[3])  # a single image
    other.process(None, [dict(pred=a, gt=b) for a, b in zip(pred, gt, strict=True)])
    assert one.compute() == other.evaluate(4)['PSNR@rgb-uint8']
    assert one.compute() == one.compute()  # nothing is forgotten by it
    one.reset()
    with pytest.raises(InputError, match='PSNR@rgb-uint8: no image has been measured'):
        one.compute()
    with pytest.raises(InputError, match=r'PSNR takes images \(N, 3, H, W\).* got \(3, 12, 14\) and \(4, 3, 12, 14\)'):
        one.update(pred[0], gt)
    with pytest.raises(InputError, match='PSNR compares with the ground truth, but got none'):
        one.update(pred)
    small = SSIM()
    small.min_size = 20
    small.update(pred, gt)
    with pytest.raises(InputError, match='at least 20 pixels'):
        small.compute()

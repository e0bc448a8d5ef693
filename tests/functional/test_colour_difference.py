import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from restorekit.functional.colour_difference import ciede2000, lab_difference, srgb_to_lab

torch.set_num_threads(1)

# L1 a1 b1 L2 a2 b2 dE: the test data of Sharma, Wu and Dalal (2005), table 1
SHARMA = """
50 2.6772 -79.7751 50 0 -82.7485 2.0425
50 3.1571 -77.2803 50 0 -82.7485 2.8615
50 2.8361 -74.0200 50 0 -82.7485 3.4412
50 -1.3802 -84.2814 50 0 -82.7485 1.0000
50 -1.1848 -84.8006 50 0 -82.7485 1.0000
50 -0.9009 -85.5211 50 0 -82.7485 1.0000
50 0 0 50 -1 2 2.3669
50 -1 2 50 0 0 2.3669
50 2.4900 -0.0010 50 -2.4900 0.0009 7.1792
50 2.4900 -0.0010 50 -2.4900 0.0010 7.1792
50 2.4900 -0.0010 50 -2.4900 0.0011 7.2195
50 2.4900 -0.0010 50 -2.4900 0.0012 7.2195
50 -0.0010 2.4900 50 0.0009 -2.4900 4.8045
50 -0.0010 2.4900 50 0.0010 -2.4900 4.8045
50 -0.0010 2.4900 50 0.0011 -2.4900 4.7461
50 2.5 0 50 0 -2.5 4.3065
50 2.5 0 73 25 -18 27.1492
50 2.5 0 61 -5 29 22.8977
50 2.5 0 56 -27 -3 31.9030
50 2.5 0 58 24 15 19.4535
50 2.5 0 50 3.1736 0.5854 1.0000
50 2.5 0 50 3.2972 0 1.0000
50 2.5 0 50 1.8634 0.5757 1.0000
50 2.5 0 50 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""


def test_all_published_pairs_in_both_directions():
    table = torch.tensor([[float(x) for x in line.split()] for line in SHARMA.strip().splitlines()],
                         dtype=torch.float64)
    assert len(table) == 34
    a, b = table[:, :3, None, None], table[:, 3:6, None, None]
    for first, second in ((a, b), (b, a)):
        np.testing.assert_allclose(lab_difference(first, second).flatten(), table[:, 6], atol=5e-5)


def test_images_equal_scikit_image():
    generator = torch.Generator().manual_seed(0)
    pred, gt = torch.rand(2, 3, 3, 31, 42, generator=generator)
    gt[1] = pred[1] * 0.9 + 0.05
    gt[2, :, :10] = gt[2, :1, :10]  # greys
    lab = [[rgb2lab(image.double().permute(1, 2, 0).numpy()) for image in images] for images in (pred, gt)]
    np.testing.assert_allclose(srgb_to_lab(pred.double())[0].permute(1, 2, 0), lab[0][0], atol=1e-9)
    expected = [deltaE_ciede2000(a, b).mean() for a, b in zip(*lab, strict=True)]
    np.testing.assert_allclose(ciede2000(pred.double(), gt.double()), expected, atol=1e-9)
    np.testing.assert_allclose(ciede2000(pred, gt), expected, atol=2e-5)


def test_equal_images_and_black_against_white():
    image = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    assert ciede2000(image, image).tolist() == [0, 0]
    assert ciede2000(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)).item() == pytest.approx(100, abs=1e-3)


def test_a_luma_image_is_refused():
    with pytest.raises(ValueError, match=r'compares RGB images \(N, 3, H, W\), but got \(1, 1, 4, 4\)'):
        ciede2000(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4))


def test_the_gradient_is_finite_at_black_at_grey_and_at_equal_colours():
    levels = torch.tensor([0.0, 1e-6, 0.03, 0.5, 1.0])
    greys = levels.view(-1, 1).expand(-1, 3)
    lab = torch.cat([srgb_to_lab(torch.cat([torch.cartesian_prod(levels, levels, levels), greys])[..., None, None]),
                     torch.tensor([[0.0, 0, 0], [50, 0, 0], [50, 0, 2], [50, -2, 0]])[..., None, None]])
    first = lab.repeat_interleave(len(lab), dim=0).requires_grad_()
    second = lab.repeat(len(lab), 1, 1, 1).requires_grad_()
    difference = lab_difference(first, second)
    difference.sum().backward()
    assert torch.isfinite(first.grad).all() and torch.isfinite(second.grad).all()
    same = (first == second).flatten(1).all(dim=1)
    assert same.sum() >= len(lab) and (difference[same] == 0).all() and (first.grad[same] == 0).all()
    assert first.grad.abs().max() < 1000  # per unit of L*, a*, b*; steep between a grey and a deep blue

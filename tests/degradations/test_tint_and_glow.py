import torch

from restorekit.degradations import ColourGain, NightGlow


def test_a_tint_is_one_gain_per_colour_that_may_clip():
    operator = ColourGain(red=1.5, blue=0.5, scale=0.9)
    image = torch.tensor([0.8, 0.5, 0.4]).view(1, 3, 1, 1)
    tinted, params = operator(image, seeds=[0])
    assert torch.allclose(params['gain'], torch.tensor([[1.35, 0.9, 0.45]]))
    assert torch.allclose(tinted.flatten(), torch.tensor([1.0, 0.45, 0.18]))


def test_glow_surrounds_a_lamp_with_its_colour_and_leaves_a_dark_scene_dark():
    image = torch.full((1, 3, 64, 64), 0.1)
    operator = NightGlow(glow=2.0, threshold=0.3, veil=0.0)
    dark, _ = operator(image, seeds=[0])
    assert torch.equal(dark, image)
    image[:, 0, 30:34, 30:34], image[:, 1, 30:34, 30:34] = 1.0, 0.6
    lit, _ = operator(image, seeds=[0])
    extra = (lit - image)[0, :, 32, :]
    assert (lit >= image).all()
    assert extra[0, 36] > extra[0, 44] > extra[0, 60] >= 0
    assert extra[0, 40] > extra[1, 40] > 0 and extra[2, 40] == 0


def test_a_veil_has_the_mean_of_the_light():
    image = torch.zeros(1, 3, 32, 32)
    image[:, :, :16] = 1
    glowing, _ = NightGlow(glow=0.0, threshold=0.5, veil=0.4)(image, seeds=[0])
    assert torch.allclose(glowing[:, :, 16:], torch.tensor(0.2))

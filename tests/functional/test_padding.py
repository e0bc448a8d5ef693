import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.functional.padding import pad_to_multiple, unpad
from restorekit.functional.ranges import rescale


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 4, 8, 16, 32]), st.sampled_from([1, 32]))
def test_unpad_is_the_exact_inverse(height, width, divisor, minimum):
    image = torch.arange(3 * height * width, dtype=torch.float32).view(3, height, width)
    padded, padding = pad_to_multiple(image, divisor, minimum)
    for size, original in zip(padded.shape[-2:], (height, width), strict=True):
        assert size % divisor == 0 and size >= max(original, minimum)
        assert size - max(original, minimum) < divisor
    assert torch.equal(unpad(padded, padding), image)
    assert padded.min() >= image.min() and padded.max() <= image.max()


def test_reflects_where_it_can_and_replicates_where_not():
    row = torch.tensor([[[1., 2., 3.]]])
    assert pad_to_multiple(row, 1, 1)[1] == (0, 0, 0, 0)
    wide, padding = pad_to_multiple(row.expand(1, 5, 3), 5)
    assert padding == (1, 1, 0, 0) and wide[0, 0].tolist() == [2, 1, 2, 3, 2]
    far, _ = pad_to_multiple(row.expand(1, 8, 3), 8, 8)
    assert far[0, 0].tolist() == [1, 1, 1, 2, 3, 3, 3, 3] or far[0, 0].tolist() == [3, 2, 1, 2, 3, 2, 1, 1]
    batch = torch.rand(2, 3, 5, 7)
    assert torch.equal(unpad(*pad_to_multiple(batch, 8)), batch)


def test_rescale():
    x = torch.tensor([0., 0.25, 1.])
    assert rescale(x, (0, 1), (-1, 1)).tolist() == [-1, -0.5, 1]
    assert torch.equal(rescale(rescale(x, (0, 1), (-1, 1)), (-1, 1)), x)
    assert rescale(x, (0.0, 1.0)) is x

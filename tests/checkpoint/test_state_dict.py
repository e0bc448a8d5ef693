import pytest
import torch

from restorekit.checkpoint import CheckpointError, network_state
from restorekit.checkpoint.state_dict import state_dict_problems


def test_equal_names_and_shapes_have_no_problems():
    assert state_dict_problems({'a': torch.zeros(2)}, {'a': torch.ones(2)}) == []


def test_every_kind_is_named_and_limit_counts_the_rest():
    expected = {'a': torch.zeros(2), 'b': torch.zeros(2), 'c': torch.zeros(2, 3)}
    given = {'x': torch.zeros(1), 'c': torch.zeros(3, 2)}
    assert state_dict_problems(given, expected) == [
        "2 missing: 'a', 'b'", "1 unexpected: 'x'", "1 of the wrong shape: 'c' is (3, 2), not (2, 3)"]
    assert state_dict_problems(given, expected, limit=1)[0] == "2 missing: 'a' and 1 more"


def test_a_value_that_is_no_tensor_is_a_wrong_shape():
    assert state_dict_problems({'a': 'text'}, {'a': torch.zeros(2)}) == [
        "1 of the wrong shape: 'a' is a str, not (2,)"]


@pytest.mark.parametrize('strange', [
    torch.ones(2, 2).to_sparse(), torch.ones(2, 2, dtype=torch.complex64), torch.ones(2, 2, device='meta'),
    torch.nested.nested_tensor([torch.ones(2), torch.ones(2)])])
def test_weights_are_ordinary_tensors(strange):
    with pytest.raises(CheckpointError, match=r'a\.pth: w is a sparse, quantized, complex or empty tensor'):
        network_state(dict(state_dict={'network.w': strange, 'network.v': torch.ones(2)}), 'a.pth')


def test_names_of_megabytes_are_cut():
    line, = state_dict_problems({'w' * 10 ** 6: torch.ones(1)}, {})
    assert len(line) < 300
    with pytest.raises(CheckpointError) as caught:
        network_state({f'{i}' + 'w' * 10 ** 6: 'x' for i in range(20)})
    assert len(str(caught.value)) < 1000

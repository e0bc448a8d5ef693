"""The cost of networks: counted right, as the metafiles say, and as the papers say."""

import pytest
import torch
import yaml
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from restorekit.config import configs_root, load_config
from restorekit.models import DEANet
from restorekit.models.cost import network_cost
from restorekit.registry import MODELS

ENTRIES = [pytest.param(entry, id=entry['Name'], marks=pytest.mark.slow if entry['Metadata']['MACs'] > 1e10 else [])
           for path in sorted(configs_root().rglob('metafile.yml'))
           for entry in yaml.safe_load(path.read_text())['Models']]
BY_OUTPUT = 'Counts a transposed convolution by its output pixels'
FUSED = 'Counts the parameters after fusing'
CONVOLUTIONS = 'Counts convolutions only'


def test_cost_by_hand():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 5, 2, 2, groups=4, bias=False), nn.ReLU(),
                            nn.ConvTranspose2d(8, 3, 2, 2))
    cost = network_cost(network, 16, 20)
    assert cost.parameters == 8 * 27 + 8 + 8 * 2 * 25 + 3 * 8 * 4 + 3
    assert cost.macs == 16 * 20 * 8 * 27 + 8 * 10 * 8 * 2 * 25 + 8 * 10 * 8 * 3 * 4
    assert cost.size == (16, 20)
    assert not network[0].weight.is_meta and network.training


def test_there_are_entries():
    assert len(ENTRIES) >= 15


@pytest.mark.parametrize('entry', ENTRIES)
def test_metafile_and_paper_agree_with_the_network(entry):
    cfg = load_config(configs_root().parent / entry['Config']).model.network
    if cfg.type == 'SpandrelNetwork':
        pytest.importorskip('spandrel')
        network = MODELS.build(cfg)  # it loads its own state dict, which meta tensors cannot
    else:
        with torch.device('meta'):
            network = MODELS.build(cfg)
    cost = network_cost(network)
    assert (cost.parameters, cost.macs) == (entry['Metadata']['Parameters'], entry['Metadata']['MACs'])
    paper = entry.get('Paper')
    if not paper:
        return
    parameters, macs, note = cost.parameters, cost.macs, paper.get('Note', '')
    if note.startswith(FUSED):
        parameters = sum(p.numel() for p in DEANet(fused=True).parameters())
    if note.startswith(BY_OUTPUT):
        macs += transposed_by_output(network)
    if note.startswith(CONVOLUTIONS):
        macs = convolutions(network)
    assert parameters == pytest.approx(paper['Parameters'], rel=0.01)
    assert macs == pytest.approx(paper['MACs'], rel=0.02)


def convolutions(network):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.empty(1, 3, 256, 256, device='meta'))
    return counter.get_flop_counts()['Global'][torch.ops.aten.convolution] // 2


def transposed_by_output(network):
    """What a counter that multiplies by the output's pixels adds for transposed convolutions."""
    added = []

    def count(module, inputs, output):
        weights = module.weight.numel()
        added.append((output[0, 0].numel() - inputs[0][0, 0].numel()) * weights)
    for module in network.modules():
        if isinstance(module, nn.ConvTranspose2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.empty(1, 3, 256, 256, device='meta'))
    return sum(added)

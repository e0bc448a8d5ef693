"""Scripts of ``tools/research`` that measure what docs and model cards say, on images made by code."""

import json

import cv2
import numpy as np
import torch
from test_kill_and_soak import load

from restorekit.registry import MODELS


def call(monkeypatch, name, *arguments):
    """Run a script as its command line does."""
    tool = load(name)
    monkeypatch.setattr('sys.argv', [name, *map(str, arguments)])
    tool.main()


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image if image.ndim == 2 else image[..., ::-1])


@MODELS.register_module()
class RowDepth(torch.nn.Module):
    """Depth falls from the top of the photo to its bottom."""

    def forward(self, x):
        return torch.linspace(50, 1, x.shape[2])[None, :, None].expand(1, -1, x.shape[3])


def test_a_depth_network_is_measured_in_the_way_it_is_declared(monkeypatch, tmp_path, capsys):
    rows = np.repeat(np.linspace(5000, 100, 48)[:, None], 64, axis=1).astype(np.uint16)
    write(tmp_path / 'clear/a.png', np.full((48, 64, 3), 120, np.uint8))
    write(tmp_path / 'depth/a.png', rows)
    for kind, rank in (('depth', 1), ('disparity', -1)):
        call(monkeypatch, 'proxy_depth', tmp_path, '--draws', 1, '--json', tmp_path / 'd.json', '--estimator',
             'network={type: RowDepth}', f'kind={kind}', 'size=48', 'multiple=1')
        found = json.loads((tmp_path / 'd.json').read_text())
        assert round(found['network']['rank'], 2) == rank == round(found['ramp']['rank'], 2) * rank
        assert (found['network']['transmission'] < 0.03) == (rank > 0)
        assert ('near and far are exchanged' in capsys.readouterr().out) == (rank < 0)

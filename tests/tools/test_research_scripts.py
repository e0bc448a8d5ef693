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


def sky(slope, step=1, height=96, width=160):
    """A bright gradient to the lower right, rounded to whole steps: uint8 (H, W, 3)."""
    y, x = np.mgrid[:height, :width]
    grey = np.round((slope * (x + 0.5 * y) - 10) / step) * step + 200
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def test_rings_in_a_sky_are_measured_and_a_steeper_gradient_has_none():
    measure, photo = load('artefacts').measure, sky(0.06, step=2)
    assert measure(photo, photo)['rings'] == 1 and measure(photo, photo)['contrast'] == 1
    assert 2.8 < measure(photo, ((photo - 200.0) * 3 + 200).astype(np.uint8))['rings'] < 3.2  # steps of 6 levels
    coloured = photo.copy()
    coloured[..., 2] = (photo[..., 2] - 200.0) * 2.5 + 200
    assert measure(photo, coloured)['rings'] > 1.8
    assert all(measure(sky(0.06), sky(slope))['rings'] <= 1.05 for slope in (0.12, 0.18))
    assert measure(photo // 2, photo)['rings'] is None  # not bright


def test_artefacts_of_a_folder_and_of_a_list(monkeypatch, tmp_path, capsys):
    rng = np.random.default_rng(0)
    write(tmp_path / 'photos/sky.png', sky(0.06, step=2))
    write(tmp_path / 'photos/noise.png', rng.integers(60, 90, (96, 160, 3), dtype=np.uint8))
    (tmp_path / 'photos/notes.txt').write_text('no photo')
    (tmp_path / 'list.txt').write_text('# one\nsky.png\n')
    call(monkeypatch, 'artefacts', tmp_path / 'photos', '--models', 'dcp', '--json', tmp_path / 'a.json')
    found = json.loads((tmp_path / 'a.json').read_text())
    result, printed = found['models']['dcp'], capsys.readouterr().out
    assert found['photos'] == 2 and '2 photos, 1 of them with bright smooth places' in printed
    assert result['rings'] == result['rings_worst'] > 1 and result['halo_before'] is None and '- -> -' in printed
    assert 0.9 < result['blocks_before'] < 1.1
    call(monkeypatch, 'artefacts', tmp_path / 'photos', '--models', 'dcp', '--list', tmp_path / 'list.txt')
    assert '1 photos, 1 of them' in capsys.readouterr().out

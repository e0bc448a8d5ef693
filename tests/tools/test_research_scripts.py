"""Scripts of ``tools/research`` that measure what docs and model cards say, on images made by code."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from test_kill_and_soak import load

import restorekit
from restorekit.files.image_io import read_image
from restorekit.registry import MODELS
from restorekit.scenes import render_scene


def call(monkeypatch, name, *arguments, **settings):
    """Run a script as its command line does; settings replace constants of it."""
    tool = load(name)
    vars(tool).update(settings)
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


def test_lists_of_every_third_file_under_the_names_that_configs_use(monkeypatch, tmp_path, capsys):
    for i in range(7):
        write(tmp_path / f'clear_photos/imagenet/{i}.png', np.zeros((8, 8), np.uint8))
    (tmp_path / 'clear_photos/imagenet/notes.txt').write_text('no photo')
    call(monkeypatch, 'split_lists', tmp_path)
    assert (tmp_path / 'lists/imagenet_val.txt').read_text() == '2.png\n5.png\n'
    assert (tmp_path / 'lists/imagenet_train.txt').read_text() == '0.png\n1.png\n3.png\n4.png\n6.png\n'
    assert 'not there: real_hazy/sand_dust, real_hazy/dawn_fog,' in capsys.readouterr().out
    call(monkeypatch, 'split_lists', tmp_path, 'mine=clear_photos')
    assert (tmp_path / 'lists/mine_val.txt').read_text() == 'imagenet/2.png\nimagenet/5.png\n'
    named = {name for path in (Path(__file__).parents[2] / 'configs').rglob('*.*')
             for name in re.findall(r'lists/(\w+)_(?:train|val)\.txt', path.read_text())}
    assert {'imagenet', 'glow', 'lowlight'} <= named <= load('split_lists').FOLDERS.keys()


def test_the_picture_of_a_card_shows_input_prior_model_and_truth(tmp_path):
    tool = load('model_picture')
    tool.main('haze', str(tmp_path / 'a.png'), size=(48, 64))
    picture = read_image(tmp_path / 'a.png')
    assert picture.shape == (5 * 48, 4 * 64, 3)
    for row, (style, seed, _) in enumerate(tool.SCENES):
        hazy, prior, ours, truth = np.split(picture[48 * row:48 * row + 48].astype(int), 4, axis=1)
        assert np.array_equal(truth, render_scene(seed, 48, 64, style)[0])
        assert min(np.abs(a - b).mean() for a, b in ((hazy, truth), (hazy, ours), (prior, ours))) > 2


def test_what_limits_a_model_is_printed(monkeypatch, tmp_path, capsys):
    scenes = {str(1400 + seed): render_scene(seed, 48, 64, 'room') for seed in (1, 30)}
    pairs = {f'sots_indoor/{{}}/{name}': (clear, depth) for name, (clear, depth) in scenes.items()}
    pairs.update({f'{folder}/{{}}/{name}': next(iter(scenes.values())) for folder, names in dict(
        ohaze_512=('s01', 's28'), sand_pairs=('s01_full', 's28_full'), real_haze_figures=('a',)).items()
        for name in names})
    for place, (clear, depth) in pairs.items():
        t = np.exp(-depth)[..., None]
        write(tmp_path / f'{place.format("clear")}.png', clear)
        if 'sots' in place:
            write(tmp_path / f'{place.format("depth")}.png', (depth * 65535).astype(np.uint16))
        if '1401' not in place:
            write(tmp_path / (place.format('hazy') + '_3.png' * ('sots' in place) + '.png' * ('sots' not in place)),
                  (clear * t + 255 * (1 - t)).round().astype(np.uint8))
    (tmp_path / 'sots_indoor/meta.json').write_text(json.dumps(dict(scenes={
        name: dict(beta=[0.6, 1.0, 1.4]) for name in scenes})))
    call(monkeypatch, 'model_limits', 'haze', tmp_path, '--json', tmp_path / 'l.json', SIZES=((40, 60), (80, 120)))
    found = json.loads((tmp_path / 'l.json').read_text())
    network, tool = restorekit.load_network('haze'), load('model_limits')
    with torch.no_grad():
        result = network(tool.tensor(tmp_path / 'sots_indoor/hazy/1430_3.png'))
    here = tool.psnr(result, tool.tensor(tmp_path / 'sots_indoor/clear/1430.png'))
    assert found['layout'][0] == pytest.approx(here) == found['sots'][1] and found['layout'][3] > 0
    assert all(found[name][2] >= found[name][1] for name in ('sots', 'ohaze', 'tinted', 'unseen'))  # the best matrix
    assert found['seen_and_new']['ohaze'][0] == found['seen_and_new']['tinted'][1]  # the same images
    assert found['120x80 dcp'] > 0 and '120x80 restore_array: ' in capsys.readouterr().out

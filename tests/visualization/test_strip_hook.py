"""What the strips of a validation are, read back from TensorBoard's file, with one process and with two."""

import socket
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.visualization import Visualizer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import config, fork

from restorekit.engine import MultiPhaseRunner
from restorekit.files.image_io import read_image
from restorekit.structures import RestoreSample
from restorekit.visualization import StripHook

DOMAINS = ['city', 'city', 'hills', 'city', 'hills', 'hills', 'sea']  # an odd number: two processes fill up


def sample(index, exact):
    """A validation image whose grey says its position; predicted exactly or 25 too dark."""
    made = RestoreSample(metainfo=dict(domain=DOMAINS[index]))
    made.gt = torch.full((3, 32, 32), 100 + 10 * index, dtype=torch.uint8)
    made.pred = made.gt / 255 - (0 if exact else 25 / 255)
    return made


def validate(hook, runner, indices, exact=False, batch_size=2):
    hook.before_val_epoch(runner)
    for start in range(0, len(indices), batch_size):
        samples = [sample(index, exact) for index in indices[start:start + batch_size]]
        hook.after_val_iter(runner, 0, dict(inputs=[image.gt // 2 for image in samples]), samples)
    hook.after_val_epoch(runner)


def make_runner(folder, visualizer=None):
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=DOMAINS))
    return SimpleNamespace(work_dir=str(folder), visualizer=visualizer, iter=0, val_loop=loop)


def test_tensorboard_shows_the_same_samples_with_their_error(tmp_path):
    visualizer = Visualizer(name=f'strips_{tmp_path.name}', save_dir=str(tmp_path),
                            vis_backends=[dict(type='TensorboardVisBackend')])
    runner, hook = make_runner(tmp_path, visualizer), StripHook(per_domain=2, height=32)
    for runner.iter, exact in ((10, False), (20, True)):
        validate(hook, runner, range(7), exact)
    visualizer.close()
    events = EventAccumulator(str(next(tmp_path.rglob('events.out*')).parent), size_guidance=dict(images=0))
    events.Reload()
    assert events.Tags()['images'] == [f'strips/{name}' for name in ('city_0', 'city_1', 'hills_0', 'hills_1', 'sea_0')]
    for name, index in dict(city_0=0, city_1=1, hills_0=2, hills_1=4, sea_0=6).items():
        shown = events.Images(f'strips/{name}')
        assert [image.step for image in shown] == [10, 20]
        for image, error in zip(shown, (100, 0), strict=True):
            picture = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
            assert picture.shape == (24 + 32, 4 * 32 + 3 * 4, 3) == (image.height, image.width, 3)
            panels = [picture[24:, 36 * i:36 * i + 32] for i in range(4)]
            grey = 100 + 10 * index
            assert [panel.min() for panel in panels] == [panel.max() for panel in panels]
            assert [panel[0, 0, 0] for panel in panels] == [grey // 2, grey - error // 4, grey, error]


def rank_validates(rank, port, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    shown = {}
    visualizer = SimpleNamespace(add_image=lambda name, image, step: shown.update({name: image}))
    # as DefaultSampler deals out seven images: 0 2 4 6 and 1 3 5 0
    validate(StripHook(per_domain=3), make_runner(folder, visualizer), [[0, 2, 4, 6], [1, 3, 5, 0]][rank])
    assert bool(shown) == (rank == 0)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed')
def test_two_processes_show_what_one_shows(tmp_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    assert fork(rank_validates, port, tmp_path / 'two', ranks=2) == [0, 0]
    visualizer = SimpleNamespace(add_image=lambda *args, **kwargs: None)
    validate(StripHook(per_domain=3), make_runner(tmp_path / 'one', visualizer), range(7))
    one, two = ({path.name: read_image(path)[0, 0, 0] for path in (tmp_path / name / 'samples').iterdir()}
                for name in ('one', 'two'))
    assert one == two and len(one) == 3 * 7  # the image drawn twice is shown once
    assert [one[f'{name}_gt.png'] for name in ('city_0', 'city_1', 'city_2', 'hills_2', 'sea_0')] == [
        100, 110, 130, 150, 160]


def test_a_broken_image_is_not_shown(tmp_path):
    samples = [sample(0, True), sample(1, True)]
    samples[0].set_metainfo(dict(broken=True))
    hook, runner = StripHook(per_domain=1), make_runner(tmp_path, SimpleNamespace(add_image=lambda *a, **k: None))
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, dict(inputs=[image.gt for image in samples]), samples)
    hook.after_val_epoch(runner)
    assert (read_image(tmp_path / 'samples' / 'city_0_gt.png') == 110).all()


def test_the_samples_stay_in_their_folder(tmp_path):
    made = sample(0, True)
    made.set_metainfo(dict(domain='../../esc'))
    work = tmp_path / 'a' / 'b'
    hook, runner = StripHook(per_domain=1), make_runner(work, SimpleNamespace(add_image=lambda *a, **k: None))
    hook.before_val_epoch(runner)
    hook.after_val_iter(runner, 0, dict(inputs=[made.gt]), [made])
    hook.after_val_epoch(runner)
    assert [path.name for path in tmp_path.iterdir()] == ['a']
    assert sorted(path.name for path in (work / 'samples').iterdir()) == [
        f'.._.._esc_0_{kind}.png' for kind in ('gt', 'input', 'pred')]


@pytest.mark.slow
def test_a_run_writes_them(tmp_path):
    cfg = config(tmp_path, iters=1, interval=1)
    cfg['visualizer']['vis_backends'] = [dict(type='TensorboardVisBackend')]
    MultiPhaseRunner(Config(cfg, format_python_code=False)).train()
    assert len(list((tmp_path / 'samples').iterdir())) == 3
    events = EventAccumulator(str(next(tmp_path.rglob('events.out*')).parent))
    events.Reload()
    image = events.Images('strips/source_0')
    assert len(image) == 1 and (image[0].width, image[0].height, image[0].step) == (4 * 256 + 12, 24 + 256, 1)

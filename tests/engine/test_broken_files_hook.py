import copy

import pytest
from tiny import config

from restorekit.datasets import DomainPairDataset, SingleDataset
from restorekit.engine import RestoreRunner
from restorekit.engine.hooks import BrokenFilesHook


class FakeRunner:
    """What the hook looks at."""

    rank = 0

    def __init__(self, work_dir, dataset):
        self.work_dir, self.lines = str(work_dir), []
        self.train_dataloader = self.val_dataloader = self.test_dataloader = self
        self.dataset, self.logger = dataset, self

    def warning(self, text):
        self.lines.append(text)


def broken(folder, make_images, count):
    for path in make_images(folder, [f'{i}.png' for i in range(count + 2)])[2:]:
        path.write_bytes(b'')
    return str(folder)


def test_what_was_left_out_is_listed_once(tmp_path, make_images):
    folder = broken(tmp_path / 'data', make_images, 2)
    runner = FakeRunner(tmp_path, SingleDataset(folder, on_error='skip'))
    hook = BrokenFilesHook()
    hook.after_val(runner)
    assert runner.lines == []
    for i in range(4):
        runner.dataset[i]
    for _ in range(3):
        hook.after_val(runner)
    hook.after_test(runner)
    assert runner.lines == [f'2 files could not be read and were left out: {folder}/2.png, {folder}/3.png']
    assert not (tmp_path / 'broken_files.txt').exists()


def test_more_than_five_go_to_a_file_and_ranks_are_joined(tmp_path, make_images, monkeypatch):
    folder = broken(tmp_path / 'data', make_images, 6)
    source = SingleDataset(folder, include='[01].png')
    runner = FakeRunner(tmp_path, DomainPairDataset(source, SingleDataset(folder, on_error='skip')))
    monkeypatch.setattr('restorekit.engine.hooks.broken_files.all_gather_object', lambda paths: [
        paths, [f'{folder}/2.png', f'{folder}/3.png']])
    for i in range(4, 8):
        runner.dataset.target[i]
    BrokenFilesHook().after_train(runner)
    assert runner.lines == [
        '6 files could not be read and were left out: '
        + ', '.join(f'{folder}/{i}.png' for i in range(2, 7)) + f', ...; all are listed in {tmp_path}/broken_files.txt']
    assert (tmp_path / 'broken_files.txt').read_text().split() == [f'{folder}/{i}.png' for i in range(2, 8)]


@pytest.mark.slow
def test_a_training_goes_on_without_broken_files(tmp_path, make_images, monkeypatch):
    folder = broken(tmp_path / 'data', make_images, 3)
    broken(tmp_path / 'val', make_images, 1)
    cfg = config(tmp_path / 'run', iters=4, interval=4, workers=1)
    haze = dict(type='Degrade', degradation=dict(type='AtmosphericScattering'))
    clear = dict(type='ClearDepthDataset', on_error='skip', domain='source',
                 pipeline=[dict(type='RandomCrop', size=32), haze])
    cfg['train_dataloader']['dataset'] = dict(clear, clear_dir=folder)
    cfg['val_dataloader']['dataset'] = dict(clear, clear_dir=str(tmp_path / 'val'))
    cfg.update(experiment_name='broken_files', default_hooks={}, custom_hooks=[])
    runner = RestoreRunner.from_cfg(copy.deepcopy(cfg))
    lines = []
    monkeypatch.setattr(runner.logger, 'warning', lines.append)
    runner.train()
    assert [line for line in lines if 'were left out' in line] == [
        f'1 file could not be read and were left out: {tmp_path}/val/2.png',
        f'4 files could not be read and were left out: {folder}/2.png, {folder}/3.png, {folder}/4.png, '
        f'{tmp_path}/val/2.png']
    assert runner.iter == 4


def test_without_skip_nothing_is_gathered(tmp_path, make_images, monkeypatch):
    make_images(tmp_path / 'data', ['1.png'])
    monkeypatch.setattr('restorekit.engine.hooks.broken_files.all_gather_object', lambda _: pytest.fail('gathered'))
    runner = FakeRunner(tmp_path, SingleDataset(str(tmp_path / 'data')))
    BrokenFilesHook().after_train(runner)
    runner.dataset = [1, 2]  # no dataset of ours
    BrokenFilesHook().after_test(runner)
    assert runner.lines == []

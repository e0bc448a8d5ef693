import csv
import json

import numpy as np
import pytest
import torch
from machine import alike
from reports import cells

from restorekit import inference
from restorekit.checkpoint import atomic_save, network_json
from restorekit.cli.main import main
from restorekit.evaluation.provenance import environment
from restorekit.evaluation.report_reader import read_report
from restorekit.files.image_io import read_image, write_image
from restorekit.messages import InputError, UserError
from restorekit.registry import MODELS
from restorekit.tasks import bench as module
from restorekit.tasks.bench import bench
from restorekit.tasks.test import test as measure


@pytest.fixture
def data(tmp_path, make_images, monkeypatch):
    """Three pairs of 64x48, predictions that are the truth but for one grey level, set.py; the working directory."""
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        add_pair(number)
    (tmp_path / 'set.py').write_text(
        "test_dataloader = dict(batch_size=1, num_workers=0, dataset=dict(type='PairedDataset', input_dir='hazy', "
        "gt_dir='clear', domain='day'))\n")
    return tmp_path


def add_pair(number):
    clear = np.random.default_rng(number).integers(40, 200, (48, 64, 3), dtype=np.uint8)
    write_image(f'data/clear/{number}.png', clear)
    write_image(f'data/hazy/{number}.png', (clear // 2 + 100).astype(np.uint8))
    write_image(f'theirs/{number}.png', clear + 1)


@pytest.fixture
def quick(monkeypatch):
    """Passes are not timed in a process of their own; the calls."""
    calls = []

    def stub(function, model, size, *args):
        calls.append((model.name, size))
        return dict(seconds=size[0] / 1000, cpu_seconds=size[0] / 500, memory=2.0**20)
    monkeypatch.setattr(module, '_in_fresh_process', stub)
    return calls


def test_quality_and_cost_of_every_kind_of_model(data, quick):
    seen = []
    found = bench(dict(doing_nothing='input', theirs=data / 'theirs', dcp='dcp', clahe='clahe'), ['set.py'], 'out',
                  data_root='data', protocols=['rgb-uint8'], sizes=[(64, 48), (128, 96)],
                  progress=lambda *args: seen.append(args))
    psnr, ssim = found['rows']
    assert (psnr['label'], psnr['n'], ssim['label']) == ('PSNR@rgb-uint8', 3, 'SSIM@rgb-uint8')
    expected = [10 * np.log10(255**2 / np.mean((read_image(f'data/hazy/{i}.png').astype(float)
                                                - read_image(f'data/clear/{i}.png')) ** 2)) for i in range(3)]
    assert psnr['means']['doing_nothing'] == pytest.approx(np.mean(expected), abs=1e-4)
    assert psnr['means']['theirs'] == pytest.approx(20 * np.log10(255), abs=1e-4)
    assert psnr['best'] == ['theirs'] and ssim['best'] == ['theirs']
    low, high = psnr['intervals']['doing_nothing']
    assert min(expected) - 1e-4 <= low <= high <= max(expected) + 1e-4
    assert seen[0] == (1, 12) and seen[-1] == (12, 12)
    costs = found['costs']
    assert costs['doing_nothing']['sizes'] == costs['theirs']['sizes'] == {}
    assert costs['dcp']['sizes'] == {'64x48': dict(seconds=0.064, cpu_seconds=0.128, memory=2**20),
                                     '128x96': dict(seconds=0.128, cpu_seconds=0.256, memory=2**20)}
    assert costs['dcp']['parameters'] == 0 and costs['dcp']['licence'] == 'Apache-2.0'
    assert quick == [('dcp', (64, 48)), ('dcp', (128, 96)), ('clahe', (64, 48)), ('clahe', (128, 96))]
    # each model has an ordinary report, with what the input scores beside it
    _, images = read_report('out/reports/theirs')
    assert images['day', '1.png']['input_PSNR@rgb-uint8'] == pytest.approx(expected[1], abs=1e-4)
    assert json.loads((data / 'out' / 'bench.json').read_text())['rows'] == json.loads(json.dumps(found['rows']))


def drawn_set(domain, seed):
    scenes = dict(type='ProceduralScenes', length=2, height=32, width=40, scene_seed=7, domain=domain, pipeline=[
        dict(type='RandomCrop', size=24), dict(type='Degrade', degradation=dict(type='AtmosphericScattering'))])
    return dict(type='ConcatDataset', datasets=dict(only=scenes), seed=seed)


@pytest.mark.slow
def test_several_sets_that_are_drawn_are_each_what_it_is_alone(tmp_path, quick, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = dict(type='Restorer', network=dict(type='AODNet'))
    for name, seed in (('first', 0), ('second', 5)):
        (tmp_path / f'{name}.py').write_text(
            f'model = {network!r}\ntest_dataloader = dict(batch_size=1, num_workers=0, dataset='
            f'{drawn_set(name, seed)!r})\ntest_evaluator = [dict(type="PSNR"), dict(type="SSIM")]\n')
    scenes = drawn_set('third', 0)['datasets']['only']
    (tmp_path / 'third.py').write_text(f'test_dataloader = dict(batch_size=1, dataset={dict(scenes, seed=3)!r})\n')
    sets = ['first.py', 'second.py', 'third.py']
    torch.manual_seed(0)
    restorer = MODELS.build(network)
    atomic_save(dict(meta=dict(restorekit=dict(format=1, network=network_json(network['network']))),
                     state_dict=restorer.state_dict()), 'aod.pth')
    bench(dict(aod='aod.pth', input='input'), sets, 'out', sizes=[(64, 48)])
    for model, given in (('aod', dict(checkpoint='aod.pth')), ('input', dict(predictions='input'))):
        _, ours = read_report(f'out/reports/{model}')
        together = measure('first.py', **given, data=sets, protocols=['rgb'], out=f'together_{model}')
        alone = {}
        for name in sets:
            measure('first.py', **given, data=[name], protocols=['rgb'], out=f'{model}_{name}')
            alone.update(read_report(f'{model}_{name}')[1])
        assert len(together.rows) == len(alone) == 6
        assert len({values['PSNR@rgb'] for values in alone.values()}) == 6  # the seeds differ
        for found in (ours, read_report(f'together_{model}')[1]):
            assert found.keys() == alone.keys()
            for image, values in alone.items():
                assert found[image] == (alike(values) if torch.cuda.is_available() else pytest.approx(values, abs=1e-6))


@pytest.mark.slow
def test_only_what_is_new_is_measured(data, quick, monkeypatch):
    restored, make = [], module._restorer

    def counting(model, *args):
        restore = make(model, *args)
        return lambda image, index: restored.append((model.name, index)) or restore(image, index)
    monkeypatch.setattr(module, '_restorer', counting)

    def run(*models, **options):
        restored.clear()
        quick.clear()
        return bench(models, ['set.py'], 'out', **dict(dict(data_root='data', sizes=[(64, 48)]), **options))

    first = run('input', 'clahe')
    assert len(restored) == 6 and len(quick) == 1
    assert run('input', 'clahe')['rows'] == first['rows'] and not restored and not quick
    add_pair(3)
    assert run('input', 'clahe')['rows'][0]['n'] == 4
    assert restored == [('input', 3), ('clahe', 3)]
    run('input', 'clahe', 'theirs')
    assert restored == [('theirs', index) for index in range(4)]
    run('clahe', metrics=['MAE'])  # another metric needs the images once more, for it alone
    assert len(restored) == 4 and not quick
    write_image('data/hazy/1.png', np.zeros((48, 64, 3), np.uint8))  # another image of the same name
    run('clahe')
    assert restored == [('clahe', 1)]
    kept = next((data / 'out' / 'kept').glob('*.jsonl'))
    kept.write_text('[[[\n{"image": 3}\n{"image": "a", "values": {"b": [1]}}\n{"ima')  # damaged and cut off
    again = run('input', 'clahe')['rows']
    assert run('input', 'clahe')['rows'] == again and not restored


@pytest.mark.slow
def test_the_command_writes_table_and_chart(data, quick, capsys):
    pytest.importorskip('matplotlib')
    assert main(['bench', 'clahe', 'nothing=input', '--data', 'set.py', '--data-root', 'data', '--out', 'out',
                 '--sizes', '64x48', '--metrics', 'MAE']) == 0
    printed = capsys.readouterr().out
    header, clahe, nothing = cells(printed)
    assert header[:4] == ['method', 'day PSNR@rgb ↑', 'day SSIM@rgb ↑', 'day MAE@rgb ↓']
    assert header[4:] == ['s at 64x48', 'CPU s at 64x48', 'MiB at 64x48', 'parameters (M)', 'multiply-adds (G)',
                          'licence']
    assert clahe[0] == 'clahe' and ' to ' in clahe[1] and clahe[4:] == ['0.064', '0.128', '1', '-', '-', 'Apache-2.0']
    assert nothing[4:] == ['-', '-', '-', '-', '-', '-']
    assert cells((data / 'out' / 'bench.md').read_text()) == [header, clahe, nothing]
    with (data / 'out' / 'bench.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]['day PSNR@rgb']) > 0 and rows[0]['s at 64x48'] == '0.064'
    assert 'day, PSNR@rgb: the best and the second method cannot be told apart (n = 3, p = ' in printed
    assert read_image(data / 'out' / 'bench.png').std() > 5


def test_mistakes_are_explained(data, quick, capsys):
    for models, message in (((), 'a bench needs models of different names, but got none'),
                            (('clahe', 'clahe'), 'models of different names, but got clahe, clahe'),
                            (('dpc',), "'dpc' is not in the model index; did you mean 'dcp'")):
        with pytest.raises(UserError, match=message):
            bench(models, ['set.py'], 'out', data_root='data')
    with pytest.raises(InputError, match=r'sizes are \(width, height\) of at least 1'):
        bench(['clahe'], ['set.py'], 'out', data_root='data', sizes=[(0, 5)])
    with pytest.raises(InputError, match='needs at least one test set'):
        bench(['clahe'], [], 'out')
    assert main(['bench', 'a=clahe', 'a=input', '--data', 'set.py', '--out', 'out']) == 1
    assert "two models are called 'a'; give them names: NAME=MODEL" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['bench', 'clahe', '--data', 'set.py', '--out', 'out', '--sizes', '64'])
    assert "a size is WIDTHxHEIGHT, as 600x400, but got '64'" in capsys.readouterr().err


@pytest.mark.slow
def test_time_and_memory_are_measured_in_a_process_of_their_own(data):
    found = bench(['clahe'], ['set.py'], 'out', data_root='data', sizes=[(64, 48), (1600, 1200)], repeats=1)
    small, large = found['costs']['clahe']['sizes'].values()
    assert 0 < small['seconds'] < large['seconds'] and 0 < small['cpu_seconds'] < large['cpu_seconds']
    assert large['memory'] is None or large['memory'] > 1600 * 1200 * 3  # also beside a GPU, which clahe does not use


@pytest.mark.parametrize(('kind', 'spec', 'device', 'place'), [
    ('clahe', 'clahe', None, 'cpu'), ('clahe', 'clahe', 'cuda:1', 'cpu'), ('input', 'input', None, 'cpu'),
    ('network', 'a.pth', None, 'cuda'), ('network', 'a.pth', 'cpu', 'cpu'), ('network', 'a.onnx', None, 'cpu'),
    ('network', 'a.onnx', 'cuda', 'cuda')])
def test_beside_a_gpu_a_model_is_measured_where_it_runs(monkeypatch, kind, spec, device, place):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert module._place(module._Model('m', kind, spec, '0', '-'), device) == place


@pytest.mark.parametrize(('peak', 'memory'), [(900, 700.0), (0, None)])  # of torch's allocator; of another runtime's
def test_memory_of_a_gpu_is_what_a_pass_takes_beyond_the_model(monkeypatch, peak, memory):
    said = []
    for name, value in dict(memory_allocated=200, max_memory_allocated=peak, reset_peak_memory_stats=None,
                            synchronize=None).items():
        monkeypatch.setattr(torch.cuda, name, lambda on, name=name, value=value: said.append((name, on)) or value)
    monkeypatch.setattr(inference, 'load', lambda name, device: lambda image: said.append(
        (name, device, image.dtype, image.shape)))
    small, whole = (('a.pth', 'cuda:1', np.uint8, shape) for shape in ((64, 64, 3), (70, 80, 3)))
    found = module._time(module._Model('m', 'network', 'a.pth', '0', '-'), (80, 70), 1, 'cuda:1', 1)
    assert found['memory'] == memory
    assert said == [small, ('reset_peak_memory_stats', 'cuda:1'), ('memory_allocated', 'cuda:1'), whole,
                    ('synchronize', 'cuda:1'), ('max_memory_allocated', 'cuda:1'), whole, ('synchronize', 'cuda:1')]


def test_the_machine_is_where_the_models_ran(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device=None: f'GPU {device}')
    assert [environment(device)['device'] for device in (None, 'cuda:1')] == ['GPU None', 'GPU cuda:1']
    assert environment('cpu')['device'].startswith('CPU (')


@pytest.mark.slow
def test_beside_a_gpu_a_bench_of_the_cpu_names_the_cpu(data, quick, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device=None: f'GPU {device}')
    found = bench(['clahe'], ['set.py'], 'out', data_root='data', sizes=[(64, 48)])
    assert found['device'] == 'cuda' and found['machine']['device'] == 'GPU cuda'
    assert read_report('out/reports/clahe')[0]['provenance']['device'].startswith('CPU (')
    found = bench(['clahe'], ['set.py'], 'out', data_root='data', sizes=[(64, 48)], device='cpu')
    assert found['device'] == 'cpu' and found['machine']['device'].startswith('CPU (')

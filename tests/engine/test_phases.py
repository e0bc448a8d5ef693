import json

import pytest
import torch
from mmengine.config import Config
from tiny import PHASES, config

from restorekit.checkpoint import load_checkpoint_file
from restorekit.config import ConfigError, load_config
from restorekit.engine import MultiPhaseRunner, before_after, results_table
from restorekit.engine.summary import describe_model
from restorekit.models import AODNet
from restorekit.models.cost import network_cost
from restorekit.registry import MODELS


def state(path):
    return load_checkpoint_file(path)['state_dict']


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A finished run of three phases."""
    from mmengine.registry import DefaultScope
    folder = tmp_path_factory.mktemp('run')
    with DefaultScope.overwrite_default_scope('restorekit'):
        runner = MultiPhaseRunner(Config(config(folder, phases=PHASES)))
        runner.train()
    return runner


@pytest.mark.slow
def test_each_phase_has_its_folder_and_record(finished):
    record = json.loads((finished.work_dir / 'run_state.json').read_text())['phases']
    assert list(record) == ['pretrain', 'supervised', 'adapt']
    for name in record:
        assert record[name]['finished'] and record[name]['iterations'] == 4
        assert finished.checkpoint(name) == finished.work_dir / name / 'iter_4.pth'
        assert record[name]['checkpoint'] == f'{name}/iter_4.pth'
        assert sorted(p.name for p in (finished.work_dir / name).glob('*.pth')) == ['iter_2.pth', 'iter_4.pth']
        assert record[name]['metrics']['source/PSNR@rgb'] > 5
    assert 0 < record['adapt']['align_grad_share'] < 1 and record['pretrain']['align_grad_share'] is None


def test_frozen_means_frozen(finished):
    pretrain, supervised, adapt = (state(finished.work_dir / name / 'iter_4.pth') for name in finished.phases)
    encoder = [key for key in pretrain if key.startswith('network.encoder.')]
    assert any('running_mean' in key for key in encoder) and any('num_batches_tracked' in key for key in encoder)
    for key in encoder:  # weights and BatchNorm statistics alike
        assert torch.equal(pretrain[key], supervised[key]) and torch.equal(pretrain[key], adapt[key]), key
    decoder = [key for key in pretrain if key.startswith('network.decoder.') and pretrain[key].is_floating_point()]
    assert any(not torch.equal(pretrain[key], supervised[key]) for key in decoder)
    optimizer = load_checkpoint_file(finished.work_dir / 'adapt' / 'iter_4.pth')['optimizer']
    assert len(optimizer['param_groups'][0]['params']) == len(
        [p for n, p in _network(finished).named_parameters() if not n.startswith('encoder.')])


def _network(runner):
    from restorekit.registry import MODELS
    return MODELS.build(runner.cfg.model.network.to_dict())


def test_training_state_is_not_handed_over(finished):
    pretrain = state(finished.work_dir / 'pretrain' / 'iter_4.pth')
    supervised = state(finished.work_dir / 'supervised' / 'iter_4.pth')
    assert any(key.startswith('consistency.teacher') for key in pretrain)
    assert not any(key.startswith('consistency') for key in supervised)
    assert any(key.startswith('reweighter') for key in supervised)


def test_checkpoints_are_plain_data(finished):
    path = finished.work_dir / 'adapt' / 'iter_4.pth'
    assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    meta = torch.load(path, weights_only=True)['meta']
    assert 'cfg' not in meta and 'config' not in meta
    assert json.loads(meta['restorekit']['network'])['type'] == 'EncoderDecoder'
    assert json.loads(meta['restorekit']['config'])['model']['frozen'] == ['network.encoder']


def test_summary(finished):
    table = results_table(finished.state).splitlines()
    assert [line.split('|')[1].strip() for line in table] == ['', '-' * (len(table[1].split('|')[1])), 'hazy input',
                                                              'after pretrain', 'after supervised', 'after adapt']
    picture = before_after(finished.work_dir, finished.state, finished.single)
    from restorekit.files.image_io import read_image
    assert read_image(picture).shape[1] > 4 * 160  # hazy, three phases, truth


def test_a_finished_run_is_not_overwritten(finished):
    before = (finished.work_dir / 'adapt' / 'iter_4.pth').stat().st_mtime_ns
    with pytest.raises(FileExistsError, match='already holds a run; pass --resume'):
        MultiPhaseRunner(finished.cfg).train()
    MultiPhaseRunner(finished.cfg, resume=True).train()  # nothing left to do
    assert (finished.work_dir / 'adapt' / 'iter_4.pth').stat().st_mtime_ns == before


@pytest.mark.slow
def test_one_phase_alone_from_another_checkpoint(finished, tmp_path):
    cfg = Config(config(tmp_path, phases=PHASES, load_from=str(finished.work_dir / 'supervised' / 'iter_4.pth')))
    MultiPhaseRunner(cfg, phase='adapt').train()
    assert not (tmp_path / 'pretrain').exists()
    for key, value in state(finished.work_dir / 'adapt' / 'iter_4.pth').items():
        assert torch.equal(value, state(tmp_path / 'adapt' / 'iter_4.pth')[key]), key


def test_a_phase_without_its_predecessor_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="'adapt' starts from phase 'supervised', but .* has no checkpoint"):
        MultiPhaseRunner(Config(config(tmp_path, phases=PHASES)), phase='adapt').train()


@pytest.mark.slow
@pytest.mark.parametrize('kill', [('pretrain', 3), ('supervised', 2), ('adapt', 4)])
def test_resume_is_bit_identical(finished, tmp_path, kill, monkeypatch):
    from restorekit.engine.loops import ResumableIterLoop
    name, at = kill
    real = ResumableIterLoop.run_iter

    def cut(self, batch):
        if name in self.runner.work_dir and self._iter == at - 1:
            raise KeyboardInterrupt
        real(self, batch)
    monkeypatch.setattr(ResumableIterLoop, 'run_iter', cut)
    cfg = Config(config(tmp_path, phases=PHASES))
    with pytest.raises(KeyboardInterrupt):
        MultiPhaseRunner(cfg).train()
    monkeypatch.setattr(ResumableIterLoop, 'run_iter', real)
    MultiPhaseRunner(cfg, resume=True).train()
    for phase in PHASES:
        expected = load_checkpoint_file(finished.work_dir / phase / 'iter_4.pth')
        got = load_checkpoint_file(tmp_path / phase / 'iter_4.pth')
        for key, value in expected['state_dict'].items():
            assert torch.equal(value, got['state_dict'][key]), (phase, key)
        for i, moments in expected['optimizer']['state'].items():
            assert torch.equal(moments['exp_avg_sq'], got['optimizer']['state'][i]['exp_avg_sq'])


def test_options_of_load_config_hold_in_every_phase(tmp_path):
    cfg = load_config('cid/cid_quickstart', {'train_cfg.max_iters': 5, 'work_dir': str(tmp_path / 'run')})
    runner = MultiPhaseRunner(cfg)
    assert [(name, part.train_cfg.max_iters) for name, part in runner.configs.items()] == [
        ('pretrain', 5), ('supervised', 5), ('adapt', 5)]


@pytest.mark.parametrize(('phases', 'phase', 'message'), [
    (PHASES, 'adpt', "'adpt' is not in the phases of this config; did you mean 'adapt'"),
    (dict(PHASES, adapt=dict(PHASES['adapt'], init_from='supervise')), None,
     "'supervise' is neither an earlier phase nor a file"),
    (dict(PHASES, adapt=dict(PHASES['adapt'], frozn=['network.encoder'])), None, "'frozn'; did you mean 'frozen'"),
    (dict(PHASES, adapt=3), None, 'phases.adapt must be a dict, but got 3')])
def test_mistakes_in_phases_stop_before_anything_starts(tmp_path, phases, phase, message):
    with pytest.raises(ConfigError, match=message):
        MultiPhaseRunner(Config(config(tmp_path / 'run', phases=phases)), phase=phase)
    assert not (tmp_path / 'run').exists()


def test_unknown_frozen_module_gives_the_nearest(tmp_path):
    phases = dict(only=dict(frozen=['network.encodr']))
    with pytest.raises(ValueError, match=r"frozen names 'network.encodr', .* nearest are \['network.encoder'"):
        MultiPhaseRunner(Config(config(tmp_path, phases=phases))).train()


@pytest.mark.slow
def test_init_from_best(tmp_path):
    phases = dict(first={}, second=dict(init_from='best', train_cfg=dict(max_iters=1)))
    cfg = config(tmp_path, phases=phases)
    cfg['default_hooks']['checkpoint'].update(save_best='source/PSNR@rgb', rule='greater')
    runner = MultiPhaseRunner(Config(cfg))
    runner.train()
    best = runner.checkpoint('first', 'best_checkpoint')
    assert 'best_source_PSNR@rgb' in best.name
    assert runner._initial_weights('second', 'best', None) == str(best)
    moved = tmp_path.with_name(tmp_path.name + '_moved')
    tmp_path.rename(moved)
    again = MultiPhaseRunner(Config(dict(cfg, work_dir=str(moved))), resume=True)
    assert again._initial_weights('second', 'best', None) == str(moved / best.relative_to(tmp_path))


def test_broken_state_file_is_not_overwritten(tmp_path):
    (tmp_path / 'run_state.json').write_text('{"pha')
    with pytest.raises(ConfigError, match='run_state.json is not the state of a run'):
        MultiPhaseRunner(Config(config(tmp_path)))
    assert (tmp_path / 'run_state.json').read_text() == '{"pha'


@pytest.mark.parametrize(('change', 'error', 'message'), [
    (dict(frozen=['network.encdr']), ValueError, "frozen names 'network.encdr'"),
    (dict(model=dict(anchor=-1)), ValueError, 'anchor must be at least 0'),
    (dict(load_from='x.pth'), ConfigError, "'adapt': load_from is where the first phase starts; .*'x.pth'")])
def test_a_mistake_in_the_last_phase_does_not_wait_for_the_others(tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        MultiPhaseRunner(Config(config(tmp_path / 'run', phases=dict(PHASES, adapt=dict(PHASES['adapt'], **change)))))
    assert not (tmp_path / 'run').exists()


def test_a_missing_first_checkpoint_leaves_nothing_behind(tmp_path):
    with pytest.raises(FileNotFoundError, match='load_from names .*nope.pth, which is not there'):
        MultiPhaseRunner(Config(config(tmp_path / 'run', phases=PHASES, load_from=str(tmp_path / 'nope.pth'))))
    assert not (tmp_path / 'run').exists()


def test_the_log_says_what_a_phase_trains(finished):
    cfg = finished.configs['adapt']
    model = MODELS.build(cfg.model)
    sizes = [p.numel() for p in model.parameters()]
    frozen = sum(p.numel() for p in model.network.encoder.parameters())
    text = describe_model(model, cfg)
    assert f'{sum(sizes):,} parameters, {sum(sizes) - frozen:,} of them trained, {frozen:,} frozen' in text
    macs = network_cost(model.network, 32, 32).macs
    assert f'EncoderDecoder: {macs / 1e9:.3g} G multiply-adds at 32 x 32' in text and 'receptive field' not in text
    assert 'receptive field 15 pixels' in describe_model(torch.nn.ModuleDict(dict(network=AODNet())), {})


def test_the_state_of_a_phase_that_is_no_more_is_left(tmp_path):
    import restorekit
    cfg = config(tmp_path / 'run', iters=1, interval=1)
    (tmp_path / 'c.py').write_text(''.join(f'{key} = {value!r}\n' for key, value in cfg.items()))
    report = restorekit.train(tmp_path / 'c.py')
    file = tmp_path / 'run/run_state.json'
    record = json.loads(file.read_text())
    record['phases'] = {**record['phases'], 'old': dict(finished=True, checkpoint='old/iter_1.pth')}
    file.write_text(json.dumps(record))
    assert restorekit.train(tmp_path / 'c.py', resume=True).checkpoint == report.checkpoint
    file.write_text(json.dumps(dict(record, configs=dict(train=dict(train_cfg=3)))))
    with pytest.raises(ConfigError, match='is not the state of a run .*train_cfg must be a dict'):
        restorekit.train(tmp_path / 'c.py', resume=True)

"""The tracker MLflow: what it allows in names and forgets by itself."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config

from restorekit.visualization import MLflowVisBackend


@pytest.fixture
def mlflow(monkeypatch):
    """A stand-in for the package; what it was told, in order."""
    told = SimpleNamespace(calls=[], running=None)

    def tell(name):
        return lambda *args, **options: told.calls.append((name, *args))
    functions = ('set_tracking_uri', 'create_experiment', 'set_experiment', 'set_tag', 'log_params', 'log_text',
                 'log_image', 'log_metric', 'log_metrics', 'log_artifact')
    module = SimpleNamespace(**{name: tell(name) for name in functions}, get_experiment_by_name=lambda name: None,
                             active_run=lambda: told.running, end_run=lambda: setattr(told, 'running', None))
    monkeypatch.setitem(sys.modules, 'mlflow', module)
    monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
    return told


def test_names_images_and_the_run(mlflow, tmp_path):
    folder = tmp_path / 'run' / 'adapt'
    (folder / 'stamp').mkdir(parents=True)
    (folder / 'config.py').write_text('a = 1')
    backend = MLflowVisBackend(str(folder / 'stamp' / 'vis_data'), exp_name='haze')
    backend.add_config(Config(dict(work_dir=str(folder))))
    backend.add_image('strips/a', np.zeros((2, 2, 3), np.uint8), 30)
    backend.add_scalar('val/PSNR@rgb', 1.5, 30)
    backend.add_scalars({'source/SSIM@y-matlab': 0.5, 'lr': 0.1}, 7)
    calls = {call[0]: call[1:] for call in mlflow.calls}
    assert calls['set_tracking_uri'] == ('sqlite:///mlflow.db',) and calls['set_experiment'] == ('haze',)
    assert calls['set_tag'] == ('mlflow.runName', 'run/adapt')
    assert calls['log_image'][1] == 'strips/a_30.png'
    assert calls['log_metric'] == ('val/PSNR-rgb', 1.5, 30)
    assert calls['log_metrics'] == ({'source/SSIM-y-matlab': 0.5, 'lr': 0.1}, 7)
    for running in ('run', None):  # the second close, by the runner, begins no new run
        mlflow.calls, mlflow.running = [], running
        backend.close()
        assert [call[0] for call in mlflow.calls] == ['log_artifact'] * (running is not None)


def test_where_it_writes(mlflow, tmp_path, monkeypatch):
    monkeypatch.setenv('MLFLOW_TRACKING_URI', 'http://host:5000')
    for given, expected in ((None, 'http://host:5000'), ('sqlite:///own.db', 'sqlite:///own.db')):
        mlflow.calls = []
        assert MLflowVisBackend(str(tmp_path / 'vis_data'), tracking_uri=given, run_name='mine').experiment
        assert ('set_tracking_uri', expected) in mlflow.calls and ('set_tag', 'mlflow.runName', 'mine') in mlflow.calls


def test_it_trains_with_mlflow_itself(tmp_path, monkeypatch):
    package = pytest.importorskip('mlflow')
    from tiny import config

    from restorekit.engine import MultiPhaseRunner
    monkeypatch.chdir(tmp_path)
    cfg = config('run', iters=2, visualizer=dict(type='Visualizer', vis_backends=[dict(type='MLflowVisBackend')]))
    MultiPhaseRunner(Config(cfg, format_python_code=False)).train()
    client = package.MlflowClient('sqlite:///mlflow.db')
    run, = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    assert 'source/PSNR-rgb' in run.data.metrics and run.info.status == 'FINISHED'

"""Mistakes in configs are answered by sentences: a short form of ``tools/research/config_fuzz.py``."""

import importlib.util
import re
from pathlib import Path

import pytest
from tiny import PHASES, config

from restorekit.cli.main import main
from restorekit.config import RestoreConfig
from restorekit.models.losses import L1Loss
from restorekit.registry import MODELS

FILE = Path(__file__).parents[2] / 'tools' / 'research' / 'config_fuzz.py'
spec = importlib.util.spec_from_file_location('config_fuzz', FILE)
config_fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(config_fuzz)


@pytest.mark.slow
def test_a_hundred_mistakes_end_in_sentences(tmp_path):
    fuzz = config_fuzz.Fuzz(tmp_path, configs=['domains/tiny', 'cid/cid_quickstart'], seed=7)
    outcomes = []
    for _ in range(100):
        what, outcome, text = fuzz.once()
        assert outcome != 'traceback', f'{what}\n{text}'
        assert outcome == 'success' or text.strip(), what
        outcomes.append(outcome)
    assert outcomes.count('sentence') > 30 and outcomes.count('success') > 10
    assert not (tmp_path / 'run').exists()  # nothing was begun


@pytest.mark.parametrize('option', config_fuzz.OPTIONS)
def test_options_of_every_shape(tmp_path, option):
    file = tmp_path / 'tiny.py'
    cfg = config('unused')
    cfg.pop('work_dir')
    RestoreConfig(cfg).dump(str(file))
    outcome, text = config_fuzz.attempt(['train', str(file), '--work-dir', str(tmp_path / 'run'),
                                         '--cfg-options', option])
    assert outcome != 'traceback', text


@pytest.mark.parametrize('change, sentence', [
    (dict(model=None), 'training needs model, which this config does not have'),
    (dict(train_cfg=None, optim_wrapper=None), 'training needs train_cfg and optim_wrapper'),
    (dict(val_cfg=None), 'val_cfg is missing beside val_dataloader and val_evaluator'),
    (dict(model='CIDRestorer'), "model must be a dict, but got 'CIDRestorer'"),
    (dict(model=dict(type=3)), "model.type must be a component's name, but got 3"),
    (dict(custom_hooks=dict(type='StripHook')), 'custom_hooks must be a list'),
    (dict(custom_hooks=['StripHook']), r"custom_hooks\[0\] must be a dict with a 'type', but got 'StripHook'"),
    (dict(custom_hooks=[dict(type='L1Loss')]), r'custom_hooks\[0\]: L1Loss is not a hook'),
    (dict(param_scheduler=[dict(gamma=3)]), r"param_scheduler\[0\] needs a 'type', the name of a component"),
    (dict(load_from=3), 'load_from must be text, but got 3'),
    (dict(load_from='.'), 'load_from names .*, which is not there'),
    (dict(default_hooks=dict(checkpoint=3)), 'default_hooks.checkpoint must be a dict, but got 3'),
    (dict(custom_imports=3), r'custom_imports must list names of modules, but got 3'),
    (dict(custom_imports=['no_such_module']), "custom_imports names 'no_such_module', but there is no such module"),
    (dict(phases=[PHASES]), 'phases must be a dict'),
    (dict(train_cfg=dict(max_iters=dict(a=3))), r"train_cfg.max_iters must be a whole number of .*, but got {'a': 3}"),
    (dict(train_cfg=dict(max_iters=True)), 'train_cfg.max_iters must be a whole number of .*, but got True'),
    (dict(train_cfg=dict(max_iters=1e30)), r'train_cfg.max_iters must be a whole number of .*, but got 1e\+30'),
    (dict(phases=dict(a={}, b=dict(train_cfg=dict(max_iters='x')))),
     "phases.b.train_cfg.max_iters must be a whole number of .*, but got 'x'"),
    (dict(param_scheduler=[dict(type='LinearLR', end=[3])]),
     r'param_scheduler\[0\].end must be a number of iterations, but got \[3\]'),
    (dict(_base_={1: 2}), r'_base_ must be the name of a config or a list of names, but got \{1: 2\}'),
    (dict(model=dict(type='CIDRestorer', network=dict(type='AODNet'), losses=[dict(pixel=3)])),
     r"losses\[0\] must be a dict with a 'type', but got \{'pixel': 3\}"),
    (dict(log_level='LOUD'), "log_level must be DEBUG, .* but got 'LOUD'"),
    (dict(model=dict(type='CIDRestorer', network=3)), 'network'),
    (dict(model=dict(type='CIDRestorer', network=dict(type='EncoderDecoder', encoder=dict(type='Res2Net')))),
     "missing a required argument: 'decoder'"),
    (dict(model=dict(type='CIDRestorer', network=dict(type='AODNet'), anchor='much')),
     'model.anchor must be a number')])
def test_the_sentence_says_where(tmp_path, capsys, change, sentence):
    cfg = config('unused')
    cfg.pop('work_dir')
    cfg.update(change)
    (tmp_path / 'c.py').write_text(''.join(f'{key} = {value!r}\n' for key, value in cfg.items()))
    assert main(['train', str(tmp_path / 'c.py'), '--work-dir', str(tmp_path / 'run')]) == 1
    text = capsys.readouterr().err
    assert text.startswith('\nerror: ') and 'Traceback' not in text
    assert re.search(sentence, text), text


def test_a_bug_in_a_constructor_is_no_mistake_of_the_user(tmp_path, capsys):
    class BuggyLoss(L1Loss):
        def __init__(self):
            super().__init__()
            len(3)
    MODELS.register_module(name='BuggyLoss', module=BuggyLoss, force=True)
    cfg = config('unused')
    cfg.pop('work_dir')
    cfg['model']['losses']['pixel'] = dict(type='BuggyLoss')
    (tmp_path / 'c.py').write_text(''.join(f'{key} = {value!r}\n' for key, value in cfg.items()))
    assert main(['train', str(tmp_path / 'c.py'), '--work-dir', str(tmp_path / 'run')]) == 1
    text = capsys.readouterr().err
    assert 'Traceback' in text and 'len(3)' in text and 'This is a bug' in text



"""``restorekit models`` and ``restorekit info NAME``: what there is, from docstrings, signatures and metafiles."""

from pathlib import Path

import pytest

import restorekit
from restorekit.cli.main import main
from restorekit.messages import InputError
from restorekit.models import RestorationNetwork
from restorekit.registry import MODELS
from restorekit.tasks import catalogue as module


def test_the_catalogue_has_every_network_config_and_weight():
    entries = [e for e in restorekit.catalogue()  # other tests register networks of their own
               if e.kind != 'network' or e.facts['module'].startswith('restorekit.')]
    names = {kind: {e.name for e in entries if e.kind == kind} for kind in ('network', 'config', 'weights')}
    MODELS.import_from_location()
    assert names['network'] == {
        name for name, cls in MODELS.module_dict.items() if isinstance(cls, type) and
        issubclass(cls, RestorationNetwork) and cls.__module__.startswith('restorekit.')}
    assert {'gunet_t_4xb16-256k_its', 'cid_small_real'} <= names['config']
    assert names['weights'] == set(restorekit.list_models())
    assert all(e.summary and '\n' not in e.summary and '``' not in e.summary for e in entries if e.kind == 'network')
    entry, = restorekit.catalogue('gunet_t*', kinds=('config',))
    assert (entry.parameters, entry.licence, entry.facts['data']) == (844_899, 'MIT', 'RESIDE ITS')
    with pytest.raises(InputError, match="among 'network', 'config', 'weights', but got 'nets'"):
        restorekit.catalogue(kinds=('nets',))


def test_models_prints_a_table_for_each_kind(capsys):
    assert main(['models', 'unet']) == 0
    text = capsys.readouterr().out
    assert text.count('\n\n') == 1 and 'Weights' not in text
    assert 'UNet' in text and 'gunet/gunet_d_4xb16-256k_its' in text and '5,270,019' in text and '17.51' in text
    assert main(['models', '--kind', 'weights', '--markdown']) == 0
    text = capsys.readouterr().out
    assert text.startswith('# All networks') and '## Weights' in text and '## Networks' not in text
    assert '| haze' in text and '| Apache-2.0' in text
    assert main(['models', 'no_such']) == 1
    assert "nothing is called 'no_such'" in capsys.readouterr().out


def test_the_page_of_the_docs_is_what_the_command_writes(capsys, monkeypatch):
    networks = module._networks  # other tests register networks of their own
    monkeypatch.setattr(module, '_networks', lambda: (
        entry for entry in networks() if entry.facts['module'].startswith('restorekit.')))
    assert main(['models', '--markdown']) == 0
    page = (Path(__file__).parents[2] / 'docs/catalogue.md').read_text(encoding='utf-8')
    assert capsys.readouterr().out == page, 'write it anew: restorekit models --markdown > docs/catalogue.md'


def test_info_knows_names(capsys):
    main(['info', 'gunet'])
    text = capsys.readouterr().out
    assert 'depths=(2, 2, 2, 4, 2, 2, 2), base_channels=24' in text and '(-1.0, 1.0)' in text
    main(['info', 'cid_small_real'])
    assert 'PSNR@rgb=17.37' in capsys.readouterr().out
    assert main(['info', 'GUnett']) == 1
    assert "no file GUnett, and 'GUnett' is not in the catalogue of models; did you mean 'GUNet'" in \
        capsys.readouterr().err

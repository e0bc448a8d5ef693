import pytest

from restorekit.registry import DEGRADATIONS, HOOKS, MODELS, OPTIMIZERS


def test_unknown_name_gives_the_nearest():
    with pytest.raises(KeyError, match="'CORALLos' is not in the model registry; did you mean 'CORALLoss'"):
        MODELS.build(dict(type='CORALLos'))


def test_mmengine_components_are_found_and_suggested():
    assert OPTIMIZERS.get('AdamW').__name__ == 'AdamW'
    with pytest.raises(KeyError, match="did you mean 'AdamW'"):
        OPTIMIZERS.get('AdmaW')


def test_error_reaches_the_user_through_mmengines_registries():
    from mmengine.registry import HOOKS as ROOT
    with pytest.raises(KeyError, match="did you mean 'SafeCheckpointHook'"):
        ROOT.build(dict(type='SafeChekpointHook'))
    assert type(ROOT.build(dict(type='StripHook'))).__name__ == 'StripHook'


def test_dotted_paths_are_never_imported():
    with pytest.raises(KeyError, match="'os.system' is not in the model registry"):
        MODELS.build(dict(type='os.system', command='true'))
    assert 'os.system' not in MODELS


def test_scope_prefix_and_membership():
    assert MODELS.get('restorekit.L1Loss') is MODELS.get('L1Loss')
    assert 'L1Loss' in MODELS and 'L2Loss' not in MODELS
    assert 'EMAHook' in HOOKS
    assert DEGRADATIONS.get('AtmosphericScattering').__name__ == 'AtmosphericScattering'

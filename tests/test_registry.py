import pytest
from mmengine.registry import HOOKS as ROOT
from mmengine.registry import DefaultScope

from restorekit.registry import DEGRADATIONS, HOOKS, MODELS, OPTIMIZERS


def test_unknown_name_gives_the_nearest():
    with pytest.raises(KeyError, match="'CORALLos' is not in the model registry; did you mean 'CORALLoss'"):
        MODELS.build(dict(type='CORALLos'))


def test_mmengine_components_are_found_and_suggested():
    assert OPTIMIZERS.get('AdamW').__name__ == 'AdamW'
    with pytest.raises(KeyError, match="did you mean 'AdamW'"):
        OPTIMIZERS.get('AdmaW')


def test_error_reaches_the_user_through_mmengines_registries():
    with DefaultScope.overwrite_default_scope('restorekit'):  # as our runner sets it
        with pytest.raises(KeyError, match="did you mean 'SafeCheckpointHook'"):
            ROOT.build(dict(type='SafeChekpointHook'))
        assert type(ROOT.build(dict(type='StripHook'))).__name__ == 'StripHook'
    with DefaultScope.overwrite_default_scope('mmengine'), \
            pytest.raises(KeyError, match='StripHook is not in the mmengine::hook registry. Please check'):
        ROOT.build(dict(type='StripHook'))


def test_what_we_build_may_build_ours_through_mmengines_registries():
    @HOOKS.register_module()
    class Holder:
        def __init__(self, inner):
            self.inner, self.scope = ROOT.build(inner), DefaultScope.get_current_instance().scope_name

    try:
        for scope, inside in (('mmengine', 'restorekit'), ('other', 'other')):
            inner = 'StripHook' if scope == 'mmengine' else 'EMAHook'
            with DefaultScope.overwrite_default_scope(scope):
                holder = HOOKS.build(dict(type='Holder', inner=dict(type=inner)))
                assert DefaultScope.get_current_instance().scope_name == scope
            assert type(holder.inner).__name__ == inner and holder.scope == inside
    finally:
        del HOOKS._module_dict['Holder']


def test_dotted_paths_are_never_imported():
    with pytest.raises(KeyError, match="'os.system' is not in the model registry"):
        MODELS.build(dict(type='os.system', command='true'))
    assert 'os.system' not in MODELS


def test_a_scope_is_a_name():
    with pytest.raises(TypeError, match=r'_scope_ is the name of a library, such as mmengine, but got \[1\]'):
        MODELS.build(dict(type='L1Loss', _scope_=[1]))
    assert MODELS.build(dict(type='L1Loss', _scope_='restorekit')).loss_weight == 1


def test_scope_prefix_and_membership():
    assert MODELS.get('restorekit.L1Loss') is MODELS.get('L1Loss')
    assert 'L1Loss' in MODELS and 'L2Loss' not in MODELS
    assert 'EMAHook' in HOOKS
    assert DEGRADATIONS.get('AtmosphericScattering').__name__ == 'AtmosphericScattering'

"""What degradations say of themselves: headline parameter, children, what was applied."""

import ast
from pathlib import Path

import pytest

import restorekit.degradations
from restorekit.degradations import AtmosphericScattering, Degradation, build_degradation, params_to_json


def test_the_headline_alone_or_every_parameter():
    drawn = {'airlight': [0.5, 0.25, 0.125], 'beta': 1.2345, 'proxy_seed': 3, 'lamps': [1, 2, 3, 4]}
    haze = AtmosphericScattering()
    assert haze.describe(drawn) == ['AtmosphericScattering beta 1.2']
    assert haze.describe(dict(drawn, beta=[1.0, 2.0, 3.0])) == ['AtmosphericScattering beta 2']
    assert haze.describe(drawn, every=True) == ['AtmosphericScattering: airlight 0.5 0.25 0.125 beta 1.23']
    assert haze.describe({}) == haze.describe({}, every=True) == ['AtmosphericScattering']


def test_a_composition_says_what_was_applied_in_order():
    maybe = build_degradation(dict(type='Maybe', child=dict(type='Rain')))
    assert maybe.describe({'applied': False}) == [] and maybe.describe({'applied': True, '0_Rain': {}}) == ['Rain']
    chain = build_degradation(dict(type='Sequential', children=[
        dict(type='OneOf', children=[dict(type='Blur'), dict(type='Dust')]), dict(type='JPEG')]))
    assert [type(operator).__name__ for operator in chain.operators()] == ['Blur', 'Dust', 'JPEG']
    drawn = {'0_OneOf': {'choice': 1, '1_Dust': {'beta': [1.0, 2.0, 3.0]}}, '1_JPEG': {'quality': 40}}
    assert chain.describe(drawn) == ['Dust beta 2', 'JPEG quality 40']
    shuffle = build_degradation(dict(type='Shuffle', children=[dict(type='Blur', sigma=1.), dict(type='JPEG',
                                                                                                quality=40)]))
    for drawn in params_to_json(shuffle.sample(range(6), 8, 8)):
        words = ['Blur sigma 1', 'JPEG quality 40']
        assert shuffle.describe(drawn) == [words[i] for i in drawn['order']]


def test_a_degradation_of_ones_own_needs_no_fact():
    class Own(Degradation):
        def draw(self, draw, height, width):
            return {'amount': draw.uniform('amount')}

        def degrade(self, image, depth, params):
            return image
    own = Own()
    assert own.describe({'amount': 0.5}) == ['Own'] and own.operators() == [own]
    assert own.describe({'amount': 0.5}, every=True) == ['Own: amount 0.5']


@pytest.mark.parametrize('path', sorted(Path(restorekit.degradations.__file__).parent.glob('*.py')),
                         ids=lambda path: path.stem)
def test_no_module_imports_itself_through_another(path):
    def imported(file, seen):
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                target = file.parent / f'{node.module}.py'
                if target.is_file() and target not in seen:
                    seen.add(target)
                    imported(target, seen)
        return seen
    assert path not in imported(path, set())

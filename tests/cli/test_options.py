"""What ``--cfg-options`` reads."""

import argparse

import pytest

from restorekit.cli.option_action import OptionAction


def parse(*words):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, default={})
    return parser.parse_args(['--cfg-options', *words]).cfg_options


@pytest.mark.parametrize(('word', 'value'), [
    ('1e-3', 1e-3), ('3', 3), ('true', True), ('none', None), ('None', None), ('text', 'text'), ('"a"', 'a'),
    ('1,2', [1, 2]), ('[1,2]', [1, 2]), ('(1,2)', (1, 2)), ('[(1,2),(3,4)]', [(1, 2), (3, 4)]), ('[]', []), ('{}', {}),
    ('[a, b]', ['a', 'b']), ('[true, ~, 1.5, null, none]', [True, None, 1.5, None, None]),
    ('[{type: PSNR, protocol: ffa}]', [dict(type='PSNR', protocol='ffa')]),
    ('[{type: A, lr: 1e-3}, {type: B, b: [0.9, 1]}]', [dict(type='A', lr=1e-3), dict(type='B', b=[0.9, 1])]),
    ('{a: [{b: {c: 1}}, "x, y"], d: \'1\'}', dict(a=[dict(b=dict(c=1)), 'x, y'], d=1))])
def test_values(word, value):
    assert parse(f'key.inner={word}', 'other=1') == {'key.inner': value, 'other': 1}
    assert type(parse(f'key={word}')['key']) is type(value)


@pytest.mark.parametrize(('word', 'message'), [
    ('a=[{x: 1', "--cfg-options a: the value is not in YAML's flow form"), ('a=[1,2', 'not in YAML'),
    ('a=(1,2', 'Imbalanced brackets'), ('a', "takes KEY=VALUE, but got 'a'"), ('=4', "takes KEY=VALUE, but got '=4'"),
    ('a..b=4', "takes KEY=VALUE, but got 'a..b=4'"), ('a=dict(b=1)', "written in YAML's flow form, {a: 1")])
def test_what_cannot_be_read_is_said(capsys, word, message):
    with pytest.raises(SystemExit):
        parse(word)
    assert message in capsys.readouterr().err


def test_keys_may_be_written_as_in_python_and_with_spaces():
    assert parse('a[0].b[12].c=1', 'd =2') == {'a.0.b.12.c': 1, 'd': 2}

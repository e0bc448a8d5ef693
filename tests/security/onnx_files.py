"""Hostile ONNX files, each a mechanism of its own: name -> (content, words of the refusal; None: it is restored)."""

# ruff: noqa: E501 (tables of attacks read better a line each)

import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FACTS = dict(protect_highlights=True, input='float', tiling='exact', receptive_field=1, size_divisor=1, min_size=1,
             network='AODNet', linear=False, parameters=1, precision='fp32', licence='', bytes_per_pixel=100)
_IMAGE = (1, 3, 'h', 'w')
_DAMAGED = 'is not an ONNX file, or is damaged'


def _value(name, shape=_IMAGE, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def _file(nodes, constants=(), facts=FACTS, functions=(), domains=(), opset=17, inputs=('x',), outputs=('y',)):
    constants = [numpy_helper.from_array(value, name) for name, value in dict(constants).items()] \
        if isinstance(constants, dict) else list(constants)
    graph = helper.make_graph(nodes, 'g', [_value(name) for name in inputs], [_value(name, None) for name in outputs], constants)
    model = helper.make_model(graph, functions=functions, opset_imports=[
        helper.make_opsetid('', opset), *(helper.make_opsetid(name, 1) for name in domains)])
    model.ir_version = 8
    if facts is not None:
        model.metadata_props.add(key='restorekit', value=facts if isinstance(facts, str) else json.dumps(facts))
    return model.SerializeToString()


_node = helper.make_node
_SAME = [_node('Identity', ['x'], ['y'])]
_ADD = [_node('Add', ['x', 'c'], ['y'])]


def _elsewhere(location, offset=0, length=12):
    tensor = TensorProto(name='c', data_type=TensorProto.FLOAT, dims=[1, 3, 1, 1], data_location=TensorProto.EXTERNAL)
    for key, value in dict(location=location, offset=offset, length=length).items():
        tensor.external_data.add(key=key, value=str(value))
    return _file(_ADD, [tensor])


def _in_a_node():
    tensor = TensorProto(name='c', data_type=TensorProto.FLOAT, dims=[1, 3, 1, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key='location', value='/etc/passwd')
    return _file([_node('Constant', [], ['c'], value=tensor), *_ADD])


def _loop():
    body = helper.make_graph([_node('Identity', ['a'], ['b']), _node('Identity', ['v'], ['w'])], 'body', [
        _value('i', (), TensorProto.INT64), _value('a', (), TensorProto.BOOL), _value('v', None)],
        [_value('b', (), TensorProto.BOOL), _value('w', None)])
    return _node('Loop', ['n', 't', 'x'], ['y'], body=body)


_TIMES = dict(n=np.array(2 ** 62), t=np.array(True))


def _branch():
    branch = helper.make_graph([_loop()], 'branch', [], [_value('y', None)])
    return _node('If', ['t'], ['y'], then_branch=branch, else_branch=branch)


def _function(name, *nodes):
    return helper.make_function('c', name, ['x'], ['y'], list(nodes), [helper.make_opsetid('', 17),
                                                                       helper.make_opsetid('c', 1)])


def _calls(name, x='x', y='y'):
    return _node(name, [x], [y], domain='c')


def corpus():
    """Return all of them."""
    found = {'fine': (_file(_SAME), None)}
    for location in ('/etc/passwd', '../victim', 'a/../../victim', 'victim', 'link', '/dev/zero', ''):
        found[f'weights in {location!r}'] = _elsewhere(location), 'has weights in other files'
    found['weights at a negative place'] = _elsewhere('victim', -1), 'has weights in other files'
    found['weights of 2**40 bytes'] = _elsewhere('victim', 0, 2 ** 40), 'has weights in other files'
    found['weights of a node elsewhere'] = _in_a_node(), 'has weights in other files'
    found['endless loop'] = _file([_loop()], _TIMES), 'contains a Loop'
    found['endless loop in a branch'] = _file([_branch()], _TIMES), 'contains a Loop'
    found['function that calls itself'] = _file([_calls('F')], functions=[_function('F', _calls('F'))], domains=['c']), 'functions of its own'
    twice = [_function(f'F{i}', _calls(f'F{i + 1}', 'x', 't'), _calls(f'F{i + 1}', 't', 'y')) for i in range(30)]
    found['functions that double'] = _file([_calls('F0')], functions=[*twice, _function('F30', _node('Sin', ['x'], ['y']))], domains=['c']), 'functions of its own'
    for domain in ('evil', 'ai.onnx.contrib', '\x1b[2J'):
        found[f'operator of {domain!r}'] = _file([_node('PyOp', ['x'], ['y'], domain=domain)], domains=[domain]), 'another library'
    size = dict(s=np.array([10 ** 12]))
    tail = [_node('ReduceSum', ['b'], ['r'], keepdims=0), _node('Add', ['x', 'r'], ['y'])]
    found['constant of 4 terabytes'] = _file([_node('ConstantOfShape', ['s'], ['b']), *tail], size), 'memory'
    found['expansion to 4 terabytes'] = _file([_node('ReduceMean', ['x'], ['m'], keepdims=0), _node('Expand', ['m', 's'], ['b']), *tail], size), 'memory'
    found['weights of a size they do not have'] = _file(_ADD, [TensorProto(name='c', data_type=1, dims=[10 ** 12], raw_data=bytes(4))]), 'cannot run'
    for name, shape in dict(small=[1, 3, 2, 2], deep=[1, 1, 1, 3, 2], grey=[1, 1, 16, 24]).items():
        found[f'{name} output'] = _file([_node('Expand', ['c', 's'], ['y'])], dict(c=np.zeros((1, 1, 1, 1), np.float32), s=np.array(shape))), 'where the same is due'
    strips = dict(FACTS, tiling='coefficients')
    found['no coefficients'] = _file(_SAME, facts=strips), 'gives coefficients'
    found['one of three coefficients'] = _file([*_SAME, _node('ReduceMean', ['x'], ['z'])], facts=strips, outputs='yz'), 'gives coefficients'
    found['numbers of another type'] = _file([_node('Cast', ['x'], ['y'], to=TensorProto.INT64)]), 'cannot run'
    found['not a number'] = _file([_node('Div', ['z', 'z'], ['q']), _node('Add', ['x', 'q'], ['y'])], dict(z=np.zeros(1, np.float32))), 'not numbers'
    found['two inputs'] = _file(_ADD, inputs=['x', 'c']), 'takes 2 inputs'
    found['no input'] = _file([_node('Identity', ['c'], ['y'])], dict(c=np.zeros(1, np.float32)), inputs=()), 'takes 0 inputs'
    found['bytes for floats'] = _file(_SAME, facts=dict(FACTS, input='uint8')), 'cannot run'
    for name, facts in dict(none=None, text='x' * 10 ** 6, list='[]', deep='[' * 10 ** 5, empty='{}', number='3').items():
        found[f'facts: {name}'] = _file(_SAME, facts=facts), 'was not written by restorekit export'
    for key, values in dict(input=('int4', [], None), tiling=('x', {}), linear=('x', 1), protect_highlights=('x', 0),
                            receptive_field=('a', -5, 0.5), size_divisor=(0, -3, 'a', 10 ** 7, True),
                            min_size=([1], 10 ** 6, 0), bytes_per_pixel=(float('nan'), float('inf'), 'a', -1, 1e300),
                            look=('a', [1], [1, 0], [10 ** 7, 1], [True, 1], 3), network=([], 'x' * 10 ** 4), parameters=('x', -1), precision=(16,), licence=({}, None)).items():
        for value in values:
            found[f'facts: {key}={value!r:.20}'] = _file(_SAME, facts={**FACTS, key: value}), f'says {key}='
    fine = _file(_SAME)
    found['garbage'] = np.random.default_rng(0).bytes(1000), _DAMAGED
    found['text'] = b'hello', _DAMAGED
    found['truncated'] = fine[:-40], _DAMAGED
    found['zip'] = b'PK\x03\x04' + bytes(50), _DAMAGED
    found['length of 4 gigabytes'] = b'\x3a\xff\xff\xff\xff\x0f', _DAMAGED
    found['endless number'] = b'\xff' * 100, _DAMAGED
    found['nothing'] = b'', 'cannot run'
    found['opset of the future'] = _file(_SAME, opset=999), 'cannot run'
    return found

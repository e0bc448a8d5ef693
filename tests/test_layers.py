"""The order in which files import each other, and what tasks and commands may do."""

import ast
from functools import cache
from pathlib import Path

import pytest

import restorekit

PACKAGE = Path(restorekit.__file__).parent
TOOLS = PACKAGE.parent / 'tools'
#: No file imports from a room to its right; rooms of one number may import each other leftwards.
ROOMS = [
    'version', 'messages', 'compat', 'registry', 'merging', 'random', 'distributed', 'config', 'utils', 'structures',
    'functional', 'files', 'text_table', 'checkpoint', 'degradations', 'scenes', 'datasets', 'models', 'evaluation',
    'visualization', 'engine', 'zoo', 'inference', 'tasks', 'testing', 'cli']
MODULES = sorted(path.relative_to(PACKAGE.parent).with_suffix('').as_posix().replace('/', '.').removesuffix('.__init__')
                 for path in PACKAGE.rglob('*.py'))


def file_of(module):
    path = PACKAGE.parent / module.replace('.', '/')
    return path / '__init__.py' if path.is_dir() else path.with_suffix('.py')


@cache
def tree(path):
    return ast.parse(path.read_text(encoding='utf-8'))


def imports(module, everywhere=True):
    """Modules of restorekit that a module imports; ``everywhere``: inside functions, too."""
    path, found = file_of(module), set()
    package = module if path.name == '__init__.py' else module.rpartition('.')[0]
    nodes = ast.walk(tree(path)) if everywhere else at_import(tree(path))
    for node in nodes:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(package.split('.')[:len(package.split('.')) - node.level + 1]) if node.level else ''
            base = '.'.join(part for part in (base, node.module) if part)
            names = [f'{base}.{alias.name}' if f'{base}.{alias.name}' in MODULES else base for alias in node.names]
        found |= {name for name in names if name in MODULES}
    return found - {module}


def at_import(node):
    """Nodes that are run when a module is imported, without those for a type checker alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == 'TYPE_CHECKING':
            continue
        yield child
        yield from at_import(child)


def room(module):
    return module.split('.')[1] if '.' in module else ''


def test_every_room_has_its_place():
    assert {room(module) for module in MODULES} - {''} <= set(ROOMS)


def test_no_file_imports_from_a_room_to_its_right():
    wrong = {(module, other) for module in MODULES if room(module) for other in imports(module)
             if room(other) and ROOMS.index(room(other)) > ROOMS.index(room(module))}
    assert not wrong


def test_modules_import_each_other_in_no_circle():
    left = {module: imports(module, everywhere=False) for module in MODULES}
    while ready := [module for module, needs in left.items() if not needs & set(left)]:
        for module in ready:
            del left[module]
    assert left == {}


@pytest.mark.parametrize('module', [module for module in MODULES if room(module) != 'cli'])
def test_only_commands_parse_arguments(module):
    found = [node for node in ast.walk(tree(file_of(module))) if isinstance(node, (ast.Import, ast.ImportFrom))
             for name in [*(alias.name for alias in node.names), getattr(node, 'module', None) or '']
             if name.split('.')[0] == 'argparse' or name.startswith('restorekit.cli')]
    assert not found, f'line {found[0].lineno}'


@pytest.mark.parametrize('module', [module for module in MODULES if room(module) == 'tasks'])
def test_tasks_neither_print_nor_exit(module):
    for node in ast.walk(tree(file_of(module))):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
        assert name not in ('print', 'exit', '_exit', 'SystemExit', 'quit', 'stdout', 'stderr'), f'line {node.lineno}'


def test_the_rules_of_tasks_can_fail():
    assert imports('restorekit.cli.train') >= {'restorekit.tasks.train', 'restorekit.cli.common'}
    assert 'restorekit.tasks.train' not in imports('restorekit.cli.train', everywhere=False)
    assert 'restorekit.config' in imports('restorekit.engine.phases', everywhere=False)


@pytest.mark.parametrize('name', restorekit._LAZY)
def test_every_lazy_name_is_there(name):
    module = restorekit._LAZY[name]
    assert module in MODULES
    assert getattr(restorekit, name).__name__ == name and name in dir(restorekit)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        _ = restorekit.trian

"""Make mistakes in configs and see that each is answered by a sentence: 1,500 edits from a fixed seed.

    python tools/research/config_fuzz.py --count 1500 --seed 0 --json fuzz.json

Every edit goes through what ``restorekit train`` does before anything is trained: the config is loaded, its options are
laid over it, all of its phases are checked and their models built without memory. Success and an error that a user can
mend (``UserError``, or argparse's) are fine; anything else is printed with its traceback. Exits with 1 if there is one.
"""

import argparse
import collections
import contextlib
import copy
import io
import json
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

from restorekit.cli.main import build_parser
from restorekit.config import load_config, phase_config
from restorekit.engine.config_check import _components
from restorekit.engine.data_paths import _data_paths, join_data_root
from restorekit.messages import UserError
from restorekit.tasks.train import prepared_run

CONFIGS = ('cid/cid_quickstart', 'domains/tiny', 'baselines/aod_net_1xb8-20k_paired', 'domains/coral',
           'cid/cid_small_real', 'gunet/gunet_t_4xb16-256k_its')
VALUES = (None, '', 'text', 'none', -1, 0, 1, 2.5, 1e30, float('nan'), True, False, [], {}, [1], ['a'], dict(a=1),
          dict(type='L1Loss'), dict(type=3), b'bytes', {1: 2}, [[]], [None], 10 ** 30, '/dev/null', 'a.b', '../..')
OPTIONS = ('model', '=', 'model=', '=3', 'model={', 'model={a: [}', 'model={a: b: c}', 'model=[', 'model=(1', 'model=]',
           'model=[1,(2]', 'model.losses={}', 'model..network=1', '.model=3', 'model.=3', 'model.network.encoder=[,]',
           'train_cfg.max_iters=abc', 'train_cfg.max_iters=-1', 'train_cfg=none', 'model=none', 'model.losses.pixel=3',
           'phases=none', 'phases=3', 'phases.x.y=1', 'phases={a: 1}', 'custom_imports=x.y.z', 'custom_imports=3',
           'custom_imports={imports: 3}', 'custom_imports={imports: [3]}', 'custom_imports=[os, no_such_module]',
           'load_from=/', 'load_from=3', 'load_from=nowhere.pth', 'load_from={a: 1}', 'resume=maybe', 'work_dir=3',
           'data_root=3', 'data_root={}', 'train_dataloader=[1]', 'train_dataloader=text', 'default_hooks=text',
           'default_hooks={checkpoint: 3}', 'optim_wrapper=Adam', 'optim_wrapper.optimizer=Adam', 'randomness=3',
           'model={!!python/object/apply:os.system [id]}', 'model={? : ?}', 'model={"a": &x [*x]}', 'model={a: *b}',
           'model={{}}', 'train_cfg.max_iters={1: 2}', 'default_scope=nothing', 'default_scope=3', 'param_scheduler=3',
           'custom_hooks=3', 'custom_hooks={}', 'launcher=rocket', 'visualizer=none', 'env_cfg=3', 'log_level=LOUD')


def places(node, path=()):
    """All places of a tree but its root, as tuples of keys."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def misspelt(text, draw):
    """A name with two letters swapped, one lost or one too many."""
    i = draw.randrange(max(len(text), 1))
    return draw.choice([text[:i] + text[i + 1:], text[:i] + text[i:i + 2][::-1] + text[i + 2:],
                        text[:i] + 'x' + text[i:]])


def edit(data, draw, names):
    """Change a tree in one random place; returns a line about it."""
    data_places = list(places(data))
    place = draw.choice(data_places)
    if draw.random() < 0.25:  # the upper levels have few places, and most of the mistakes of people
        place = draw.choice([place for place in data_places if len(place) <= 2])
    node = data
    for key in place[:-1]:
        node = node[key]
    key, value = place[-1], node[place[-1]]
    where = '.'.join(map(str, place))
    if isinstance(node, tuple):
        return 'nothing'
    kinds = ['value', 'value', 'delete', 'wrap']
    kinds += ['key', 'key', 'new'] * isinstance(node, dict) + ['name'] * isinstance(value, str)
    kinds += ['untype', 'retype', 'retype', 'argument', 'extra'] * (isinstance(value, dict) and 'type' in value)
    kind = draw.choice(kinds)
    if kind == 'value':
        node[key] = copy.deepcopy(draw.choice(VALUES))
        return f'{where} = {node[key]!r}'
    if kind == 'delete':
        del node[key]
    elif kind == 'wrap':
        node[key] = draw.choice([[value], dict(a=value), [value, value]])
    elif kind == 'key':
        node[misspelt(str(key), draw)] = node.pop(key)
    elif kind == 'new':
        name = draw.choice(['type', 'size', 'name', 'scale', '_delete_', '_base_', '_scope_', 'x y', ''])
        node[name] = copy.deepcopy(draw.choice(VALUES))
    elif kind == 'name':
        node[key] = misspelt(value, draw)
    elif kind == 'untype':
        del value['type']
    elif kind == 'retype':
        value['type'] = draw.choice(names)
        return f'{where}.type = {value["type"]}'
    elif kind == 'argument' and len(value) > 1:
        del value[draw.choice([name for name in value if name != 'type'])]
    elif kind == 'extra':
        value['no_such_argument'] = 1
    return f'{kind} {where}'


class Fuzz:
    """The configs to edit, with the folders that their data are said to lie in.

    Args:
        folder (str | Path): For what is written.
        configs (Sequence[str]): Their names.
        seed (int): Of all draws.
    """

    def __init__(self, folder, configs=CONFIGS, seed=0):
        self.folder, self.draw = Path(folder), random.Random(seed)
        self.names = sorted(name for name in _components() if '.' not in name)
        self.trees = []
        for name in configs:
            cfg = load_config(name, data_root=str(self.folder / 'data'))
            self.trees.append((name, {key: value for key, value in cfg.to_dict().items() if key != 'filename'}))
            for part in [phase_config(cfg, phase) for phase in cfg.get('phases') or {}] or [copy.deepcopy(cfg)]:
                join_data_root(part)
                for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
                    for _, _, path in _data_paths(part.get(loader), loader):
                        Path(path).mkdir(parents=True, exist_ok=True)

    def once(self):
        """Make one mistake; returns (what it was, 'success', 'sentence' or 'traceback', the text)."""
        name, tree = self.draw.choice(self.trees)
        tree = copy.deepcopy(tree)
        arguments = []
        if self.draw.random() < 0.15:
            what = self.draw.choice(OPTIONS)
            arguments = ['--cfg-options', what]
        else:
            what = edit(tree, self.draw, self.names)
        file = self.folder / 'edited.py'
        file.write_text(''.join(f'{key} = {python(value)}\n' for key, value in tree.items()
                                if isinstance(key, str) and key.isidentifier()))
        outcome, text = attempt(['train', str(file), '--work-dir', str(self.folder / 'run'), *arguments])
        return f'{name}: {what}', outcome, text


def python(value):
    """A value as Python text; what is not finite, too."""
    return repr(value).replace(' nan', " float('nan')").replace(' inf', " float('inf')") if value == value \
        else "float('nan')"


def attempt(argv):
    """Do what a command line asks for, up to the training; returns the outcome and its text."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            args = build_parser().parse_args(argv)
            prepared_run(args.config, work_dir=args.work_dir, options=args.cfg_options)
    except UserError as error:
        return 'sentence', str(error)
    except SystemExit:
        return 'sentence', said.getvalue()
    except Exception:
        return 'traceback', traceback.format_exc()
    return 'success', ''


def main():
    """Run; prints each failure, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=1500)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--sentences', action='store_true', help='print every sentence as well')
    parser.add_argument('--json', metavar='FILE', help='write the figures')
    args = parser.parse_args()
    counts, kinds, start = collections.Counter(), collections.Counter(), time.time()
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(folder, seed=args.seed)
        for _ in range(args.count):
            what, outcome, text = fuzz.once()
            counts[outcome] += 1
            if outcome == 'traceback':
                kinds[text.strip().splitlines()[-1]] += 1
                print(f'--- {what}\n{text}', flush=True)
            elif args.sentences and outcome == 'sentence':
                print(f'+++ {what}\n{text}', flush=True)
    for text, count in kinds.most_common():
        print(f'{count:5} {text}')
    if args.json:
        figures = dict(count=args.count, seed=args.seed, seconds=time.time() - start, outcomes=counts, tracebacks=kinds)
        Path(args.json).write_text(json.dumps(figures, indent=1))
    print(f'{args.count} edits from seed {args.seed} in {time.time() - start:.0f} s: {counts["success"]} succeed, '
          f'{counts["sentence"]} sentences, {counts["traceback"]} tracebacks')
    return 1 if counts['traceback'] else 0


if __name__ == '__main__':
    sys.exit(main())

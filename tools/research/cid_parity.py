"""Compare restorekit's CID network with the authors' own code, output to output.

Give the folder ``testcode`` of a clone of the authors' repository (``fyxnl/RSR``); its code runs, so read it first.
Their network gets random weights and statistics, and ours gets the same after conversion.
"""

import argparse
import json
import sys

import torch

from restorekit.registry import MODELS
from restorekit.text_table import text_table
from restorekit.zoo import CID_NETWORK, published_to_restorekit

SIZES = ((32, 32), (64, 64), (96, 64), (64, 160), (128, 128), (256, 192))


def published_network(folder):
    """Build the authors' network from their folder, without the ImageNet file that it always loads."""
    sys.path.insert(0, str(folder))
    import CID_model
    from Res2Net import Res2Net
    load_state_dict, load = Res2Net.load_state_dict, torch.load
    try:
        Res2Net.load_state_dict, torch.load = lambda *_: None, lambda *_, **__: None
        network = CID_model.Dehaze().eval()
    finally:
        Res2Net.load_state_dict, torch.load = load_state_dict, load
    generator = torch.Generator().manual_seed(0)
    for key, value in network.state_dict().items():
        if key.endswith('running_var'):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        elif key.endswith('running_mean'):
            value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
    return network


def main(argv=None):
    """Compare at six sizes; the exit status is 1 if any output differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', help='folder testcode of the authors\' repository')
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')
    args = parser.parse_args(argv)
    theirs = published_network(args.folder)
    state, report = published_to_restorekit(theirs.state_dict())
    ours = MODELS.build(CID_NETWORK).eval()
    ours.load_state_dict(state)
    rows = []
    with torch.inference_mode():
        for height, width in SIZES:
            image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height)) * 2 - 1
            want, embedding = theirs(image)
            got, features = ours.forward_features(image)
            rows.append(dict(size=f'{height}x{width}', image=float((got - want).abs().max()),
                             embedding=float((features.mean((2, 3)) - embedding).abs().max())))
    print(f'{len(report)} tensors\n' + text_table([('size', 'image', 'embedding'), *(
        (row['size'], f'{row["image"]:.1e}', f'{row["embedding"]:.1e}') for row in rows)]))
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(dict(tensors=len(report), sizes=rows), file, indent=1)
    return int(any(row['image'] for row in rows))


if __name__ == '__main__':
    sys.exit(main())

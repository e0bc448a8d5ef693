"""Measure images that any program wrote, under every protocol."""

from pathlib import Path

from .common import OptionAction, prepare_process


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('images', nargs='*', metavar='PRED GT', help='restored and clear image, or a folder of each; '
                        'none: a scene drawn by code, and the same blurred, noisy and tinted')
    parser.add_argument('--pairing', default='stem', help='how files of two folders belong together, see PairedDataset '
                        '(stem, prefix, suffix; default stem)')
    parser.add_argument('--dataset-options', nargs='+', action=OptionAction, default={}, metavar='K=V',
                        help='further arguments of PairedDataset')
    parser.add_argument('--metrics', nargs='+', default=['PSNR', 'SSIM'], metavar='NAME',
                        help='registered metrics that take a protocol (default PSNR SSIM)')
    parser.add_argument('--protocols', '--protocol', nargs='+', metavar='NAME',
                        help='some of the protocols (default: all)')


def run(args):
    """Print a table with a row for each protocol; returns 0."""
    from restorekit.config import ConfigError
    if len(args.images) not in (0, 2):
        raise ConfigError(f'give two images, two folders or nothing, got {len(args.images)}: {" ".join(args.images)}')
    prepare_process('none')
    from restorekit.evaluation import PROTOCOLS, FidelityMetric, get_protocol
    from restorekit.registry import METRICS
    from restorekit.text_table import markdown_table
    protocols = [get_protocol(name) for name in args.protocols or PROTOCOLS]
    for name in args.metrics:
        if not issubclass(METRICS.get(name), FidelityMetric):
            raise ConfigError(f'{name} takes no protocol; only metrics against a ground truth do')
    metrics = {(protocol.name, name): build(METRICS, name, protocol) for protocol in protocols for name in args.metrics}
    samples = pairs(args)
    for sample in samples:
        for metric in metrics.values():
            if metric is not None:
                metric.process(None, [sample])
    print(f'{len(samples)} pair{"s" if len(samples) > 1 else ""}')
    lines = [['protocol', *(title(METRICS.get(name)) for name in args.metrics)]]
    for protocol in protocols:
        lines.append([protocol.name, *(value(metrics[protocol.name, name], len(samples)) for name in args.metrics)])
    print(markdown_table(lines))
    return 0


def build(registry, name, protocol):
    """Return the metric under a protocol, or None where it looks at colours and the protocol keeps none."""
    from restorekit.evaluation.metrics.fidelity import ColourMetric
    if issubclass(registry.get(name), ColourMetric) and protocol.colour != 'rgb':
        return None
    return registry.build(dict(type=name, protocol=protocol, baseline=False))


def title(kind):
    """Return the head of a metric's column."""
    quantity = kind.quantity or kind.__name__
    return f'{quantity} ({kind.unit})' if kind.unit else quantity


def value(metric, number):
    """Return the mean as text."""
    if metric is None:
        return '-'
    mean = metric.evaluate(number).get(metric.label)
    if mean is None:  # every image is too small for it
        return '-'
    return f'{mean:.3f}' if metric.unit == 'dB' else f'{mean:.4f}'


def pairs(args):
    """Return samples, dicts of img_path, pred and gt; read one by one where they are files."""
    if not args.images:
        return [drawn_pair()]
    pred, gt = map(Path, args.images)
    if not pred.is_dir():
        import torch

        from restorekit.files.image_io import read_image
        pred, gt = (torch.from_numpy(read_image(path)).permute(2, 0, 1) for path in (pred, gt))
        return [dict(img_path=args.images[0], pred=pred, gt=gt)]
    from restorekit.datasets import PairedDataset
    return Samples(PairedDataset(str(pred), str(gt), pairing=args.pairing, **args.dataset_options))


class Samples:
    """The pairs of a data set, one at a time."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __iter__(self):
        for index in range(len(self)):
            item = self.dataset[index]
            sample = item['data_samples']
            yield dict(img_path=sample.get('img_path'), pred=item['inputs'], gt=sample.gt)


def drawn_pair():
    """Return a scene of 460 x 620 pixels and what a mediocre network could make of it."""
    import torch

    from restorekit.functional.filters import gaussian_blur
    from restorekit.scenes.renderer import render_scene
    gt = torch.from_numpy(render_scene(0, 460, 620, 'city')[0]).permute(2, 0, 1)
    noise = 0.015 * torch.randn(gt.shape, generator=torch.Generator().manual_seed(0))
    pred = gaussian_blur(gt[None] / 255, 0.6)[0] + torch.tensor([0.015, 0, -0.015]).view(3, 1, 1) + noise
    return dict(img_path='a scene drawn by code', pred=pred.clamp(0, 1), gt=gt)

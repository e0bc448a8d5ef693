"""The loop of a test: every image once, in any number of processes, and not again after an interruption."""

import os
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dist import all_gather_object, barrier, get_dist_info, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop
from mmengine.runner.amp import autocast

from restorekit.config import ConfigError
from restorekit.datasets import RestoreDataset
from restorekit.distributed import broadcast_object
from restorekit.evaluation import ImageMetric
from restorekit.evaluation.journal import Extremes, append_rows
from restorekit.evaluation.provenance import set_names
from restorekit.evaluation.report import describe_metric
from restorekit.files.image_io import write_image
from restorekit.files.names import file_name, output_name
from restorekit.functional.images import to_array
from restorekit.messages import InputTypeError
from restorekit.registry import LOOPS
from restorekit.visualization import strip

from .loader import explained_workers

STRIP_HEIGHT, STRIP_WIDTH, STRIP_QUALITY = 150, 280, 85  # of one of its images, in pixels; of the JPEG


@LOOPS.register_module()
class EvaluationLoop(BaseLoop):
    """Measure a model on a test set so that the numbers depend on the model and the images only.

    Each image passes the network alone, whatever the batch size, and no image is measured twice to fill a batch or a
    process. So one process and several give the same numbers, bit for bit on the CPU with equal numbers of threads.
    With ``out`` each measured batch is written down at once, and what is written is not measured again.

    Args:
        runner (Runner): The runner.
        dataloader (dict): Test data; its sampler is replaced. ``batch_size`` is how many images are read at a time.
        evaluator (list[dict] | Evaluator): The metrics, each an :class:`~restorekit.evaluation.ImageMetric`.
        images_dir (str, optional): Save every restored image there as PNG, in a sub-folder per set.
        fp16 (bool): Run the network under autocast.

    Attributes:
        rows (list[dict]): After ``run``, on the main process, for every image in order: dict(index, domain (its set),
            image (its name), broken, values [[value, the input's value] per metric]).
        strips (dict[int, bytes]): After ``run``, on the main process: input, restored image and truth side by side as
            a JPEG, by index, of the worst and best images of each set.

    Raises:
        TypeError: If a metric gives no number per image, or the dataset is no RestoreDataset.
        ConfigError: If two metrics that differ have one label, or two protocols one name. A metric that is named twice
            is measured once.
    """

    def __init__(self, runner, dataloader, evaluator, images_dir=None, fp16=False):
        dataloader = {key: value for key, value in dataloader.items() if key not in ('batch_sampler', 'shuffle')}
        super().__init__(runner, dict(dataloader, sampler=[], drop_last=False))  # run() fills the list
        self.dataset = self.dataloader.dataset
        if not isinstance(self.dataset, RestoreDataset):
            raise InputTypeError(
                f'{type(self.dataset).__name__} cannot tell the names of its images; a test set must be '
                'derived from restorekit.datasets.RestoreDataset')
        self.evaluator = runner.build_evaluator(evaluator) if not isinstance(evaluator, Evaluator) else evaluator
        for metric in self.metrics:
            if not isinstance(metric, ImageMetric):
                raise InputTypeError(
                    f'{type(metric).__name__} is not a metric of single images, so it cannot be in a test '
                    'report; derive it from restorekit.evaluation.ImageMetric')
        self.evaluator.metrics = distinct(self.metrics)
        self.names = set_names(self.dataset)
        self.images_dir = None if images_dir is None else Path(images_dir)
        self.fp16 = fp16
        self.rows, self.strips = [], {}
        self._out = None

    @property
    def metrics(self):
        """The metrics."""
        return self.evaluator.metrics

    def resume(self, out, rows):
        """Keep a journal in ``out`` (see ``open_report``), whose ``rows`` were measured before."""
        self._out, self.rows = Path(out), rows

    def run(self):
        """Measure what is not measured yet; returns the means, on every process."""
        with explained_workers('test_dataloader'):
            return self._run()

    def _run(self):
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        rank, world_size = get_dist_info()
        model = self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        if hasattr(model, 'check_files'):
            model.check_files(self.names)
        done = {row['index'] for row in self.rows}
        pending = [index for index in range(len(self.dataset)) if index not in done][rank::world_size]
        extremes = Extremes([metric.higher_is_better for metric in self.metrics],
                            None if self._out is None else self._out / '.progress' / 'strips')
        if self._out is not None and is_main_process():
            extremes.restore(self.rows)
        barrier()  # the strips that other processes write must not be taken for old ones
        self.dataloader.sampler[:] = pending
        new, targets = [], self.targets() if self.images_dir is not None else None
        for number, batch in enumerate(self.dataloader):
            start = number * self.dataloader.batch_size
            indices = pending[start:start + self.dataloader.batch_size]
            rows = self._measure(number, batch, indices, targets, extremes)
            if self._out is not None:  # a file that could not be read is tried again next time
                append_rows(self._out, rank, [row for row in rows if not row['broken']])
            new += rows
        gathered = all_gather_object((new, extremes.strips))
        metrics = None
        if is_main_process():
            self.rows = sorted(chain(self.rows, *(rows for rows, _ in gathered)), key=lambda row: row['index'])
            self.strips = {index: data for _, strips in gathered for index, data in strips.items()}
            metrics = self._means()
        metrics = broadcast_object(metrics)
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics

    @torch.no_grad()
    def _measure(self, number, batch, indices, targets, extremes):
        self.runner.call_hook('before_test_iter', batch_idx=number, data_batch=batch)
        outputs = []
        for index, inputs, sample in zip(indices, batch['inputs'], batch['data_samples'], strict=True):
            sample.set_metainfo(dict(test_index=index))
            with autocast(enabled=self.fp16):
                outputs += self.runner.model.test_step(dict(inputs=[inputs], data_samples=[sample]))
        for metric in self.metrics:
            metric.results.clear()
        self.evaluator.process(data_samples=outputs, data_batch=batch)
        rows = []
        for position, (index, inputs, sample) in enumerate(zip(indices, batch['inputs'], outputs, strict=True)):
            measured = [metric.results[position] for metric in self.metrics]
            row = dict(index=index, domain=sample.get('domain') or 'test', image=self.names[index][1],
                       broken=bool(sample.get('broken')), values=[[m['value'], m['baseline']] for m in measured])
            rows.append(row)
            if row['broken']:
                continue
            extremes.offer(row, lambda inputs=inputs, sample=sample: encode_strip(inputs, sample))
            if targets is not None:
                write_image(targets[index], to_array(sample.pred))
        for metric in self.metrics:
            metric.results.clear()
        self.runner.call_hook('after_test_iter', batch_idx=number, data_batch=batch, outputs=outputs)
        return rows

    def _means(self):
        means = {}
        for position, metric in enumerate(self.metrics):
            found = metric.compute_metrics([dict(
                index=row['index'], img_path=row['image'], domain=row['domain'], value=row['values'][position][0],
                baseline=row['values'][position][1]) for row in self.rows])
            means.update({f'{metric.prefix}/{key}' if metric.prefix else key: value for key, value in found.items()})
        return means

    def targets(self):
        """Return where below ``images_dir`` each restored image is saved: named like its input, numbered if need be."""
        targets, taken = [], set()
        for domain, name in self.names:
            folder, last = os.path.split(name)
            path = os.path.join(folder, os.path.splitext(last)[0])
            stem, number = self.images_dir / file_name(domain) / output_name(path, room=len('-999999.png')), 1
            target = stem.with_name(f'{stem.name}.png')
            while target in taken:
                number += 1
                target = stem.with_name(f'{stem.name}-{number}.png')
            taken.add(target)
            targets.append(target)
        return targets


def distinct(metrics):
    """Return metrics without repeats.

    Raises:
        ConfigError: If two that differ have one label, or two protocols one name: their columns could not be told
            apart.
    """
    labels, protocols = {}, {}
    for metric in metrics:
        what = describe_metric(metric)
        other, _ = labels.setdefault(what['label'], (what, metric))
        if what != other:
            differing = ', '.join(f'{key} {other[key]!r} and {what[key]!r}' for key in what
                                  if key != 'fingerprint' and what[key] != other[key])
            raise ConfigError(f"two metrics of one label, {what['label']}, differ ({differing}), so a report could not "
                              "tell their numbers apart; keep one, or give one of them a prefix='...'")
        if what['protocol'] is not None:
            settings = protocols.setdefault(metric.protocol.name, metric.protocol)
            if settings.fingerprint != metric.protocol.fingerprint:
                differing = ', '.join(f'{key} {settings.settings[key]!r} and {value!r}'
                                      for key, value in what['protocol'].items() if value != settings.settings[key])
                raise ConfigError(f'two protocols are named {metric.protocol.name!r}, with different settings '
                                  f'({differing}); give one of them another name')
    return [metric for _, metric in labels.values()]


def encode_strip(inputs, sample):
    """Return input, restored image and, where there is one, truth side by side as a small JPEG."""
    images = [inputs, sample.pred] + ([sample.gt] if 'gt' in sample else [])
    images = [to_array(image) for image in images]
    height, width = images[0].shape[:2]
    picture = strip(images, min(STRIP_HEIGHT, max(1, round(STRIP_WIDTH * height / width))))
    return cv2.imencode('.jpg', np.ascontiguousarray(picture[..., ::-1]),
                        [cv2.IMWRITE_JPEG_QUALITY, STRIP_QUALITY])[1].tobytes()

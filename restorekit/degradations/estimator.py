"""Depth from a network the user has."""

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np
import torch

from restorekit.files.atomic import atomic_write
from restorekit.messages import InputError, InputTypeError, MissingDependencyError, MissingFileError, refuse_unused

from .depth import convert_depth, read_stored_depth
from .draw import check_choice

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DepthEstimator:
    """Estimate depth from a photo with any network, and convert it to 0 at the camera, larger is farther.

    The photo is scaled to [0, 1], resized, normalised as ``(x - mean) / std`` and given to the network as
    (1,3,h,w); what comes back, (1,h',w') or (1,1,h',w'), is resized to the photo and converted by
    :func:`convert_depth`. Disparity is known up to scale and shift only, so its lowest value is taken as farthest.

    Args:
        network (str, dict or callable): An ONNX file (run by onnxruntime, extra ``export``); the config of a torch
            module in ``MODELS`` (your own through ``custom_imports``); or a callable or module that takes a tensor
            and returns one.
        checkpoint (str, optional): State dict to load into a torch module, strictly.
        size (int or pair): Shorter side of the photo for the network, or (height, width). An ONNX file of fixed size
            goes before it.
        multiple (int): Height and width for the network are multiples of this: 14 for Depth Anything, 32 for MiDaS.
        mean, std (sequence of float): Per channel RGB; ImageNet's by default.
        kind (str): What the network returns: ``'disparity'`` (larger is nearer) or ``'depth'``.
        scale, near, inverted, log_base: See :func:`convert_depth`.
        device (str): Where a torch module runs.
        cache_dir (str, optional): Keep every map here as ``.npy``, named by the photo's pixels and these settings, so
            that a photo is estimated once. Only for a ``network`` given as file or config.

    Raises:
        FileNotFoundError: If the ONNX file does not exist.
        ModuleNotFoundError: On first use, if onnxruntime is missing.
        TypeError: If the network is none of the above.
        ValueError: If a setting is out of range, or the network returns no map or not finite values.

    Example:
        >>> estimator = DepthEstimator(lambda x: x.mean(dim=1), size=32)
        >>> estimator(np.zeros((48, 64, 3), np.uint8)).shape
        (48, 64)
    """

    def __init__(self, network, checkpoint=None, size=384, multiple=14, mean=IMAGENET_MEAN, std=IMAGENET_STD,
                 kind='disparity', scale=1., near=0.1, inverted=False, log_base=None, device='cpu', cache_dir=None):
        self.is_onnx = isinstance(network, (str, os.PathLike))
        if not (self.is_onnx or isinstance(network, dict) or callable(network)):
            raise InputTypeError(f'network must be an .onnx file, the config of a module in MODELS or a callable, '
                                 f'but got {network!r}')
        if self.is_onnx and Path(network).suffix.lower() != '.onnx':
            raise InputError(f'network must be an .onnx file, but got {str(network)!r}; give a torch network as the '
                             'config of its module, dict(type=...), and its weights as checkpoint')
        if self.is_onnx and not Path(network).is_file():
            raise MissingFileError(f'network: there is no ONNX file {network}')
        if checkpoint is not None and (self.is_onnx or not (isinstance(network, dict) or hasattr(network, 'eval'))):
            raise InputError('checkpoint is for a torch module; an ONNX file holds its weights, a function has none')
        if cache_dir is not None and not (self.is_onnx or isinstance(network, dict)):
            raise InputError('cache_dir needs a network given as file or config: a map cannot be told from that of '
                             'another function')
        if self.is_onnx:
            refuse_unused(self, dict(device=device), 'a torch module', 'an ONNX file, which runs on the CPU')
        sides = [size] if isinstance(size, int) else list(size)
        if len(sides) not in (1, 2) or not all(isinstance(side, int) and side > 0 for side in sides):
            raise InputError(f'size must be the shorter side or (height, width) in pixels, but got {size!r}')
        if not isinstance(multiple, int) or multiple < 1:
            raise InputError(f'multiple must be an integer >= 1, but got {multiple!r}')
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise InputError(f'mean and std must be three numbers each, std > 0, but got {mean!r} and {std!r}')
        self.network, self.checkpoint, self.device = network, checkpoint, device
        self.size, self.multiple = sides, multiple
        self.mean, self.std = np.float32(mean), np.float32(std)
        self.options = dict(kind=check_choice('kind', kind, ('depth', 'disparity')), scale=scale, near=near,
                            inverted=inverted, log_base=log_base)
        convert_depth(np.zeros((1, 1)), **self.options)
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self._run = None

    def __getstate__(self):
        # a session of onnxruntime cannot travel to a data worker; each opens its own
        return dict(self.__dict__, _run=None)

    def __call__(self, image):
        """Return the depth (H,W) float32 of a photo (H,W,3) uint8 RGB."""
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputTypeError('DepthEstimator: image must be a uint8 array (H,W,3) RGB, but got '
                                 f'{getattr(image, "dtype", type(image).__name__)} {getattr(image, "shape", "")}')
        if self.cache_dir is None:
            return self._estimate(image)
        path = self.cache_dir / f'{self._key(image)}.npy'
        if path.is_file():
            return read_stored_depth(path)
        depth = self._estimate(image)
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        atomic_write(path, lambda file: np.save(file, depth), sync=False)
        return depth

    def _key(self, image):
        name = str(self.network), self.checkpoint, self.size, self.multiple, *self.mean, *self.std, self.options
        stamps = [Path(file).stat().st_mtime_ns for file in (self.network, self.checkpoint)
                  if isinstance(file, (str, os.PathLike)) and Path(file).is_file()]
        digest = hashlib.blake2b(repr((name, stamps, image.shape)).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(image))
        return digest.hexdigest()

    def _estimate(self, image):
        if self._run is None:
            self._run, self._fixed = self._open_onnx() if self.is_onnx else (self._open_torch(), None)
        height, width = image.shape[:2]
        size = self._fixed or self._network_size(height, width)
        shrinking = size[0] * size[1] < height * width
        small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
        values = (small.astype(np.float32) / 255 - self.mean) / self.std
        output = np.squeeze(self._run(np.ascontiguousarray(values.transpose(2, 0, 1)[None])))
        if output.ndim != 2:
            raise InputError(f'DepthEstimator: the network must return one map (1,h,w) or (1,1,h,w), but got shape '
                             f'{output.shape} after dropping dimensions of 1')
        output = cv2.resize(output.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        if self.options['kind'] == 'disparity':
            output = output - output.min()
        return convert_depth(output, **self.options, name='DepthEstimator: the network\'s map')

    def _network_size(self, height, width):
        sides = self.size
        if len(sides) == 1:
            sides = [side * sides[0] / min(height, width) for side in (height, width)]
        return tuple(max(1, round(side / self.multiple)) * self.multiple for side in sides)

    def _open_onnx(self):
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise MissingDependencyError('an ONNX depth network needs onnxruntime: pip install "restorekit[export]"',
                                         name='onnxruntime') from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            session = onnxruntime.InferenceSession(str(self.network), options, providers=['CPUExecutionProvider'])
        except Exception as error:  # its classes have no common base but Exception
            if type(error).__module__.startswith('onnxruntime'):
                raise InputError(f'onnxruntime {onnxruntime.__version__} cannot run the depth network {self.network}: '
                                 f'{str(error).splitlines()[0]}; copy or export it again') from error
            raise
        entry = session.get_inputs()[0]
        fixed = tuple(entry.shape[2:]) if all(isinstance(side, int) for side in entry.shape[2:]) else None
        return lambda values: session.run(None, {entry.name: values})[0], fixed

    def _open_torch(self):
        network = self.network
        if isinstance(network, dict):
            from restorekit.registry import MODELS
            network = MODELS.build(network)
        if isinstance(network, torch.nn.Module):
            if self.checkpoint is not None:
                from restorekit.checkpoint import CheckpointError, load_checkpoint_file, state_dict_problems
                content = load_checkpoint_file(self.checkpoint)
                state = content.get('state_dict', content)
                problems = state_dict_problems(state if isinstance(state, dict) else {}, network.state_dict(), limit=5)
                if problems:
                    raise CheckpointError(f'{self.checkpoint} does not hold the weights of this '
                                          f'{type(network).__name__}.\n  ' + '\n  '.join(problems))
                network.load_state_dict(state)
            network = network.to(self.device).eval()

        def run(values):
            with torch.inference_mode():
                output = network(torch.from_numpy(values).to(self.device))
            return output.float().cpu().numpy()
        return run

"""Restoring images with a trained network."""

from pathlib import Path

import numpy as np
import torch

from restorekit.checkpoint import (
    CheckpointError,
    load_checkpoint_file,
    load_network_weights,
    network_config_from_json,
    network_state,
)
from restorekit.files.image_io import read_image, write_image
from restorekit.functional.images import to_array
from restorekit.messages import InputError
from restorekit.registry import MODELS
from restorekit.structures import RestoreSample


def load_network(checkpoint, config=None, device='cpu'):
    """Build a network and load its weights.

    Args:
        checkpoint (str | Path): A checkpoint of a training run, a converted one, or a bare state dict.
        config (str | Path, optional): Config whose ``model.network`` is built. Default: the network's description
            stored in the checkpoint as JSON data; text from a checkpoint is never executed.
        device (str): Where to put it.

    Returns:
        RestorationNetwork: In eval mode.

    Raises:
        CheckpointError: If the file is no checkpoint, or describes no network and ``config`` is not given.
        RuntimeError: If the weights are those of another network.
    """
    loaded = load_checkpoint_file(str(checkpoint), map_location='cpu')
    if config is not None:
        from restorekit.config import ConfigError, load_config
        network_cfg = load_config(config).get('model', {}).get('network')
        if network_cfg is None:
            raise ConfigError(f'{config} has no model.network, so there is nothing to load {checkpoint} into')
    else:
        record = (loaded.get('meta') or {}).get('restorekit') if isinstance(loaded.get('meta'), dict) else None
        description = record.get('network') if isinstance(record, dict) else None
        if description is None:
            raise CheckpointError(f'{checkpoint} does not say what network it holds (it was not written by restorekit, '
                                  'or is a bare state dict); name its config with --config')
        try:
            network_cfg = network_config_from_json(description)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f'{checkpoint}: {error}; name its config with --config') from error
    try:
        network = MODELS.build(network_cfg)
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(f'the network of {config or checkpoint} cannot be built: {error}') from error
    load_network_weights(network, network_state(loaded), str(checkpoint))
    return network.to(device).eval().requires_grad_(False)


class RestorationPipeline:
    """Restore images of any size.

    Args:
        checkpoint (str | Path): See :func:`load_network`.
        config (str | Path, optional): See :func:`load_network`.
        device (str, optional): Default: CUDA if there is one, else the CPU.

    Example::

        from restorekit import RestorationPipeline
        clear = RestorationPipeline('latest.pth')('hazy.jpg', 'clear.png')
    """

    def __init__(self, checkpoint, config=None, device=None):
        self.device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
        if self.device.type == 'cuda' and not torch.cuda.is_available():
            raise InputError(f'device {device!r} was asked for, but torch finds no CUDA here; use cpu')
        self.restorer = MODELS.build(dict(type='Restorer', network=load_network(checkpoint, config, self.device)))
        self.restorer.to(self.device).eval()

    def __call__(self, image, output=None):
        """Restore a file or an array.

        Args:
            image (str | Path | ndarray): An image file, or uint8 (H, W, 3) RGB.
            output (str | Path, optional): File the result is written to as well.

        Returns:
            ndarray: uint8 (H, W, 3) RGB of the input's size.
        """
        restored = self.restore(read_image(image) if isinstance(image, (str, Path)) else image)
        if output is not None:
            write_image(output, restored)
        return restored

    def restore(self, image):
        """Restore one uint8 (H, W, 3) RGB array."""
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 \
                or image.size == 0:
            given = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image).__name__
            raise InputError(f'an image is a file or a uint8 array (H, W, 3) in RGB, but got {given}')
        sample = RestoreSample(metainfo=dict(ori_shape=image.shape[:2]))
        tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return to_array(self.restorer.test_step(dict(inputs=[tensor], data_samples=[sample]))[0].pred)


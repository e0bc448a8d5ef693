"""NIQE and BRISQUE: how natural an image looks, without a ground truth, by restorekit's own parameters or a library."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from restorekit.functional.natural_statistics import BLOCK, brisque_features, grey_levels, niqe, regression_inputs
from restorekit.messages import InputError, MissingFileError
from restorekit.registry import METRICS

from .no_reference import LibraryMetric, PyIQA
from .optional import downloads, import_library

OWN = 'restorekit'


class NaturalMetric(LibraryMetric):
    """Base of NIQE and BRISQUE: measures by own parameters, or hands over to a library.

    A subclass sets ``quantity`` and ``libraries``, and defines ``rate(image)``.
    """

    higher_is_better = False
    quantity: str
    libraries: tuple[str, ...] = (OWN,)
    names: tuple[tuple[str, tuple[int, ...]], ...] = ()  # arrays of the parameters, with their shapes

    def __init__(self, library: str = OWN, parameters: str | None = None, **kwargs: Any) -> None:
        if library not in self.libraries:
            raise InputError(f'{self.quantity}: library must be one of {", ".join(map(repr, self.libraries))}, '
                             f'but got {library!r}')
        if parameters is not None and library != OWN:
            raise InputError(f'{self.quantity}: parameters are for library={OWN!r}, but got {library!r}')
        super().__init__(**kwargs)
        self.source = library
        self.options: dict[str, Any] = {}
        if library == OWN:
            path = Path(__file__).with_name(f'{self.quantity.lower()}.npz') if parameters is None else Path(parameters)
            if parameters is not None:
                self.source = path.stem
            self.parameters = self._read(path)
        else:
            self.min_size = 1
            self._by_library(library)

    def _by_library(self, library: str) -> None:
        network = PyIQA(self.quantity.lower()).network
        self.by_library = lambda images: network.to(images.device)(images)

    def _read(self, path: Path) -> dict[str, torch.Tensor]:
        """Read and check the arrays of a parameter file."""
        if not path.is_file():
            raise MissingFileError(f'{self.quantity}: no file of parameters {path}; restorekit fit-quality makes one')
        self.options['parameters'] = hashlib.sha256(path.read_bytes()).hexdigest()
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {self._name(key): np.asarray(file[key], np.float64).squeeze() for key in file.files
                          if file[key].dtype.kind in 'fiu'}
        except (OSError, EOFError, ValueError, AttributeError, BadZipFile) as error:  # also objects inside
            raise InputError(f'{path} is not a file of parameters for {self.quantity}: {str(error)[:200]}') from error
        for name, shape in self.names:
            found = arrays.get(name)
            if found is None or found.ndim != len(shape) or not np.isfinite(found).all() or \
                    any(want not in (0, got) for want, got in zip(shape, found.shape, strict=True)):
                listed = ', '.join(f'{key} {value.shape}' for key, value in arrays.items()) or 'no numbers'
                raise InputError(f'{path} is not a file of parameters for {self.quantity}: it needs finite numbers '
                                 f'{name} of shape {shape} (0: any), but it holds {listed}')
        return {name: torch.from_numpy(arrays[name]) for name, _ in self.names}

    @staticmethod
    def _name(key: str) -> str:
        return key

    def measure(self, pred: torch.Tensor, gt: torch.Tensor | None) -> torch.Tensor:
        if self.source in self.libraries[1:]:
            rated: torch.Tensor = self.by_library(pred)
            return rated.flatten()
        return torch.stack([self.rate(image[None]) for image in grey_levels(pred)])

    def rate(self, grey: torch.Tensor) -> torch.Tensor:
        """Return the number of one image, grey levels (1, 1, H, W) float64."""
        raise NotImplementedError


@METRICS.register_module()
class NIQE(NaturalMetric):
    """Natural image quality evaluator (Mittal et al., 2013); smaller is better.

    The distance between the statistics of an image's blocks of 96 x 96 pixels and those of clean photos. The parameters
    that come with restorekit were fitted by ``restorekit fit-quality`` on 16 photos of free licence, so
    ``NIQE@restorekit`` does not compare with published numbers. With the authors' parameters (``parameters=FILE``) it
    equals the port of the MATLAB program in BasicSR within 0.003.

    Args:
        library (str): 'restorekit', or 'pyiqa' for the library's own (not for commercial use).
        parameters (str, optional): A file of other parameters, ``.npz`` with ``mean`` (36,) and ``covariance``
            (36, 36), or as BasicSR names them ``mu_pris_param``, ``cov_pris_param``; the label then names the file.
        **kwargs: As in :class:`ImageMetric`.

    Raises:
        InputError: For an unknown library, or a file without such numbers.
        MissingFileError: If there is no such file.
        ImportError: If pyiqa is asked for and not installed.

    Example:
        >>> NIQE().label
        'NIQE@restorekit'
    """

    quantity = 'NIQE'
    libraries = (OWN, 'pyiqa')
    min_size = 2 * BLOCK
    names = (('mean', (36,)), ('covariance', (36, 36)))

    @staticmethod
    def _name(key: str) -> str:
        return {'mu_pris_param': 'mean', 'cov_pris_param': 'covariance'}.get(key, key)

    def rate(self, grey: torch.Tensor) -> torch.Tensor:
        return niqe(grey, *(self.parameters[name].to(grey.device) for name, _ in self.names))


@METRICS.register_module()
class BRISQUE(NaturalMetric):
    """Blind/referenceless image spatial quality evaluator (Mittal et al., 2012); smaller is better.

    restorekit's own has the paper's features and, in place of the paper's regression on ratings of the LIVE database, a
    kernel regression fitted by ``restorekit fit-quality``: to 100 (1 - SSIM) of 16 photos of free licence under JPEG
    compression, noise and blur of five strengths. It ranks images, and does not compare with published numbers.

    Args:
        library (str): 'restorekit'; 'pyiqa' (what recent dehazing papers report; not for commercial use) or 'piq'.
        parameters (str, optional): A file of other parameters that ``restorekit fit-quality`` made; the label then
            names the file.
        **kwargs: As in :class:`ImageMetric`.

    Raises:
        InputError: For an unknown library, or a file without such numbers.
        MissingFileError: If there is no such file.
        ImportError: If the library is not installed.
        RuntimeError: If the library's weights are absent and cannot be downloaded.

    Example:
        >>> BRISQUE().label
        'BRISQUE@restorekit'
    """

    quantity = 'BRISQUE'
    libraries = (OWN, 'pyiqa', 'piq')
    min_size = 32
    names = (('centre', (36,)), ('scale', (36,)), ('vectors', (0, 36)), ('weights', (0,)), ('offset', ()),
             ('gamma', ()))

    def _by_library(self, library: str) -> None:
        if library == 'pyiqa':
            super()._by_library(library)
            return
        piq = import_library('piq', 'piq', 'BRISQUE', 'metrics')
        self.by_library = lambda images: piq.brisque(images, reduction='none')
        with downloads(self.label, f'piq names the file above; it belongs in {torch.hub.get_dir()}/checkpoints'):
            # piq fetches its weights when it is first called: now, not after hours of training
            self.by_library(torch.linspace(0, 1, 3 * 64 * 64).view(1, 3, 64, 64))

    def rate(self, grey: torch.Tensor) -> torch.Tensor:
        given = {name: value.to(grey.device) for name, value in self.parameters.items()}
        features = (regression_inputs(brisque_features(grey)) - given['centre']) / given['scale']
        kernel = torch.exp(-given['gamma'] * torch.cdist(features, given['vectors'])**2)
        return (kernel @ given['weights'])[0] + given['offset']

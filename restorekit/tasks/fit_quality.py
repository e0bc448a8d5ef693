"""Fit the parameters of NIQE or BRISQUE to a folder of clean photos."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from restorekit.datasets.scanner import scan_images
from restorekit.files.atomic import atomic_write_bytes
from restorekit.files.image_io import read_image
from restorekit.functional.image_quality import ssim
from restorekit.functional.natural_statistics import (
    BLOCK,
    brisque_features,
    fit_niqe,
    grey_levels,
    regression_inputs,
)
from restorekit.messages import InputError

CROP = 512  # of a photo for BRISQUE, in pixels
GAMMA, RIDGE = 0.01, 0.03  # of the kernel regression
#: Strengths of each kind of damage that BRISQUE is fitted to: JPEG quality, sigma in grey levels, sigma in pixels.
DAMAGES: dict[str, tuple[float, ...]] = dict(jpeg=(70, 40, 20, 10, 5), noise=(4, 8, 16, 32, 64),
                                             blur=(0.6, 1.0, 1.8, 3.0, 5.0))


def fit_quality(folder: str | Path, out: str | Path, *, metric: str = 'niqe',
                progress: Callable[[int, int], object] | None = None) -> dict[str, Any]:
    """Fit NIQE's or BRISQUE's parameters and write them to a file for ``parameters=`` of the metric.

    NIQE: mean and covariance of the features over the sharp blocks. BRISQUE: a kernel regression from the features of
    damaged copies (JPEG, Gaussian noise, blur; five strengths each) to 100 (1 - SSIM).

    Args:
        folder (str | Path): Clean, sharp photos of at least 192 pixels on each side. Ten are few.
        out (str | Path): The file, ``.npz``.
        metric (str): 'niqe' or 'brisque'.
        progress (Callable, optional): Called with (photos done, photos) after each.

    Returns:
        dict: ``photos``, and ``rows``: how many blocks (NIQE) or images (BRISQUE) the parameters were fitted to; for
        BRISQUE also ``correlation``, Spearman's, between prediction and target on photos left out of the fit.

    Raises:
        InputError: For another metric or suffix, a photo that is too small, or too few photos.
        MissingFileError: If the folder holds no image.
    """
    if metric not in ('niqe', 'brisque'):
        raise InputError(f"metric must be 'niqe' or 'brisque', but got {metric!r}")
    if Path(out).suffix != '.npz':
        raise InputError(f'the file of parameters must end in .npz, but got {out}')
    names = scan_images(str(folder))
    found: list[Any] = []
    for number, name in enumerate(names, 1):
        image = torch.from_numpy(read_image(Path(folder, name))).permute(2, 0, 1)[None] / 255
        if min(image.shape[-2:]) < 2 * BLOCK:
            raise InputError(f'{Path(folder, name)} is {image.shape[3]}x{image.shape[2]}; photos must have at least '
                             f'{2 * BLOCK} pixels on each side')
        found.append(grey_levels(image) if metric == 'niqe' else _damaged_rows(grey_levels(image), number))
        if progress is not None:
            progress(number, len(names))
    report: dict[str, Any]
    if metric == 'niqe':
        mean, covariance, rows = fit_niqe(found)
        if rows <= len(mean):
            raise InputError(f'{folder}: {len(found)} photos have {rows} sharp blocks, but more than {len(mean)} are '
                             'needed; add photos')
        arrays = dict(mean=mean.numpy(), covariance=covariance.numpy())
        report = dict(photos=len(found), rows=rows)
    else:
        if len(found) < 2:
            raise InputError(f'{folder} has one photo; BRISQUE needs at least two')
        arrays = _regress(torch.cat([x for x, _ in found]), torch.cat([y for _, y in found]))
        report = dict(photos=len(found), rows=len(arrays['weights']), correlation=_left_out(found))
    file = BytesIO()
    stored: dict[str, Any] = {name: array.astype(np.float32 if name == 'vectors' else np.float64)
                              for name, array in arrays.items()}
    np.savez_compressed(file, **stored)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(file.getvalue(), out)
    return report


def _damaged_rows(grey: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs of the regression (16, 36) and targets (16,) of a photo and its damaged copies."""
    top, left = ((side - min(side, CROP)) // 2 for side in grey.shape[-2:])
    clean = grey[..., top:top + CROP, left:left + CROP]
    pixels, random = clean[0, 0].numpy().astype(np.uint8), np.random.default_rng(seed)
    copies: list[Any] = [pixels]
    for quality in DAMAGES['jpeg']:
        packed = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
        copies.append(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE))
    for sigma in DAMAGES['noise']:
        copies.append((pixels + sigma * random.standard_normal(pixels.shape)).round().clip(0, 255).astype(np.uint8))
    copies += [cv2.GaussianBlur(pixels, (0, 0), sigma) for sigma in DAMAGES['blur']]
    images = torch.from_numpy(np.stack(copies))[:, None].double()
    targets = 100 * (1 - ssim(images.float() / 255, clean.float().expand_as(images) / 255))
    return torch.cat([regression_inputs(brisque_features(image[None])) for image in images]), targets.double()


def _regress(features: torch.Tensor, targets: torch.Tensor) -> dict[str, np.ndarray]:
    """Kernel ridge regression with a Gaussian kernel on features scaled to mean 0 and deviation 1."""
    centre, scale, offset = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6), targets.mean()
    vectors = (features - centre) / scale
    kernel = torch.exp(-GAMMA * torch.cdist(vectors, vectors)**2)
    weights = torch.linalg.solve(kernel + RIDGE * torch.eye(len(vectors), dtype=torch.float64), targets - offset)
    return dict(centre=centre.numpy(), scale=scale.numpy(), vectors=vectors.numpy(), weights=weights.numpy(),
                offset=offset.numpy(), gamma=np.asarray(GAMMA))


def _left_out(found: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Spearman's correlation of predictions for photos that the regression has not seen (five folds) with targets."""
    predictions, targets = [], []
    folds = min(5, len(found))
    for fold in range(folds):
        seen = [pair for i, pair in enumerate(found) if i % folds != fold]
        model = {key: torch.from_numpy(value) for key, value in _regress(
            torch.cat([x for x, _ in seen]), torch.cat([y for _, y in seen])).items()}
        for features, target in found[fold::folds]:
            scaled = (features - model['centre']) / model['scale']
            kernel = torch.exp(-model['gamma'] * torch.cdist(scaled, model['vectors'])**2)
            predictions.append(kernel @ model['weights'] + model['offset'])
            targets.append(target)
    ranks = [torch.cat(values).argsort().argsort().double() for values in (predictions, targets)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])

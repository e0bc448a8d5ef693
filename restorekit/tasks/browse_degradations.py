"""Draw a contact sheet of degradations, each from weak to strong."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorekit.messages import InputError, refuse_unused

from .process import Progress, prepare_process

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass
class DegradationSheet:
    """What :func:`browse_degradations` drew.

    Attributes:
        image (ndarray): The sheet, uint8 (H, W, 3) RGB.
        rows (dict[str, list[ndarray]]): By label, the captioned pictures: clear, then from weak to strong.
    """

    image: np.ndarray
    rows: dict[str, list[np.ndarray]]


def browse_degradations(degradations: Sequence[str | os.PathLike[str]], *, image: str | os.PathLike[str] | None = None,
                        depth: str | os.PathLike[str] | None = None, depth_options: Mapping[str, Any] | None = None,
                        style: str = 'city', columns: int = 5, draws: int = 40, height: int = 160, seed: int = 0,
                        colours: int | None = None, out: str | os.PathLike[str] | None = None,
                        progress: Progress | None = None) -> DegradationSheet:
    """Draw a row for each degradation: the clear image, then degraded ones from weak to strong with their parameters.

    Strength is the root mean square difference from the clear image; the columns are percentiles of it over ``draws``
    draws.

    Args:
        degradations (Sequence): Presets or configs with a ``degradation``. One gives a row for it and for each operator
            in it, several give a row each; ``['operators']`` gives every registered operator that has default settings.
        image (str | Path, optional): Clear photo; default: a scene drawn by code, with its depth.
        depth (str | Path, optional): Depth map of the photo.
        depth_options (dict, optional): How the map is coded; see :func:`~restorekit.degradations.convert_depth`.
        style (str): Style of the scene drawn by code.
        columns (int): Number of strengths.
        draws (int): Number of draws that the strengths are chosen from.
        height (int): Height of a picture in pixels, at least 32.
        seed (int): Seed of the draws and of the scene.
        colours (int, optional): Write ``out`` with a palette of this many colours: small files for docs.
        out (str | Path, optional): PNG file to write; the rows also go to TensorBoard logs in the folder of the same
            name without suffix.
        progress (Callable, optional): Called as ``progress(rows done, all rows)``.

    Returns:
        DegradationSheet: The sheet and its rows.

    Raises:
        InputError: If an argument is out of range, or image and depth differ in size.
        MissingFileError: If there is no such preset.

    Example:
        >>> list(browse_degradations(['ridcp_like'], columns=1, draws=1, height=32).rows)[:2]
        ['ridcp_like', 'LowLight']
    """
    for name, value, least in (('columns', columns, 1), ('height', height, 32), ('draws', draws, 1)):
        if value < least:
            raise InputError(f'{name} must be at least {least}, but got {value}')
    if draws < columns:
        raise InputError(f'draws must be at least columns ({columns}), but got {draws}')
    if depth is not None and image is None:
        raise InputError('a depth map belongs to a photo: give the image too')
    if depth is None:
        refuse_unused(browse_degradations, dict(depth_options=depth_options or None), 'a map in depth', 'no depth')
    if image is not None:
        refuse_unused(browse_degradations, dict(style=style), 'a drawn scene', 'an image')
    if out is None or Path(out).suffix.lower() != '.png':
        refuse_unused(browse_degradations, dict(colours=colours), 'a PNG file in out', f'out={str(out)!r}')
    if colours is not None and not 2 <= colours <= 256:
        raise InputError(f'colours must be within [2, 256], but got {colours}')
    prepare_process()
    import numpy as np

    from restorekit.visualization import contact_sheet
    operators = collect(degradations)
    clear, depth_map = _scene(image, depth, dict(depth_options or {}), style, height, seed)
    rows = {}
    for label, operator in operators.items():
        rows[label] = _strengths(operator, clear, depth_map, columns, draws, height, seed)
        if progress is not None:
            progress(len(rows), len(operators))
    titles = ['clear', *(f'{round(100 * (k + 0.5) / columns)} %' for k in range(columns))]
    lines: list[np.ndarray] = []
    for label, row in rows.items():
        lines.append(contact_sheet([row], None if lines else titles, [label], row[0].shape[0]))
    sheet = DegradationSheet(np.vstack(lines), rows)
    if out is not None:
        _save(Path(out), sheet, colours)
    return sheet


def collect(degradations: Sequence[str | os.PathLike[str]]) -> dict[str, Any]:
    """Return the degradations to show by row label; arguments as of :func:`browse_degradations`."""
    from restorekit.degradations import Degradation, build_degradation, load_preset
    from restorekit.registry import DEGRADATIONS
    if list(degradations) == ['operators']:
        classes = {name: DEGRADATIONS.get(name) for name in sorted(DEGRADATIONS.names())}
        return {name: build_degradation(dict(type=name)) for name, cls in classes.items()
                if issubclass(cls, Degradation) and not cls.composite and _builds_alone(cls)}
    rows: dict[str, Any] = {}
    for config in degradations:
        label = Path(config).stem
        rows[label if label not in rows else str(config)] = build_degradation(load_preset(config))
    whole = list(rows.values())
    if len(whole) == 1 and whole[0].composite:
        for operator in whole[0].operators():
            name = label = type(operator).__name__
            number = 2
            while label in rows:
                label, number = f'{name} {number}', number + 1
            rows[label] = operator
    return rows


def _builds_alone(cls: type) -> bool:
    """Whether a class can be built without arguments, as one that reads folders cannot."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return all(parameter.default is not parameter.empty for parameter in inspect.signature(cls).parameters.values()
               if parameter.kind in kinds)


def _scene(image: str | os.PathLike[str] | None, depth: str | os.PathLike[str] | None, depth_options: dict[str, Any],
           style: str, height: int, seed: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the clear image (1, 3, H, W) and its depth (1, 1, H, W) or None."""
    import torch

    from restorekit.degradations import read_depth
    from restorekit.files.image_io import read_image
    from restorekit.functional.images import to_tensor
    if image is not None:
        pixels = read_image(image)
        distance = None if depth is None else read_depth(depth, **depth_options)
        if distance is not None and distance.shape != pixels.shape[:2]:
            raise InputError(f'image and depth must have one size (height, width), but got {pixels.shape[:2]} and '
                             f'{distance.shape}')
    else:
        from restorekit.scenes.renderer import STYLES, render_scene
        if style not in STYLES:
            raise InputError(f'style must be one of {", ".join(STYLES)}, but got {style!r}')
        pixels, distance = render_scene(seed, height * 2, height * 8 // 3, style)
    return (to_tensor(pixels).float()[None] / 255,
            None if distance is None else torch.from_numpy(distance)[None, None])


def _strengths(operator: Any, clear: torch.Tensor, depth: torch.Tensor | None, columns: int, draws: int, height: int,
               seed: int) -> list[np.ndarray]:
    """Return the clear image and, from weak to strong, degraded ones with their parameters under them."""
    import numpy as np
    import torch

    from restorekit.degradations import params_to_json
    from restorekit.random import derive_seed
    drawn = []
    for number in range(draws):
        image, params = operator(clear, depth, [derive_seed(seed, number)])
        drawn.append((float(torch.sqrt((image - clear).square().mean())), number, image, params))
    drawn.sort(key=lambda item: item[:2])
    cells = [_captioned(clear, '', height)]
    for column in range(columns):
        _, _, image, params = drawn[int((column + 0.5) / columns * draws)]
        words = operator.describe(params_to_json(params)[0], every=True) if params else []
        if not operator.composite:  # the row's label names it already
            words = [text.partition(': ')[2] for text in words]
        cells.append(_captioned(image, ' '.join(words), height))
    tallest = max(cell.shape[0] for cell in cells)
    return [np.pad(cell, ((0, tallest - cell.shape[0]), (0, 0), (0, 0)), constant_values=255) for cell in cells]


def _captioned(image: torch.Tensor, text: str, height: int) -> np.ndarray:
    """Scale an image to ``height`` and write ``text`` on white under it, wrapped to its width."""
    import textwrap

    import cv2
    import numpy as np

    from restorekit.functional.images import to_array
    from restorekit.visualization import strip
    picture = strip([to_array(image[0])], height)
    lines = textwrap.wrap(text, max(8, picture.shape[1] // 6))
    below = np.full((13 * len(lines) + 5, picture.shape[1], 3), 255, np.uint8)
    for number, line in enumerate(lines):
        cv2.putText(below, line, (1, 13 * number + 10), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([picture, below])


def _save(path: Path, sheet: DegradationSheet, colours: int | None) -> None:
    """Write the sheet, with a palette if ``colours`` is given, and its rows as TensorBoard logs."""
    from torch.utils.tensorboard import SummaryWriter

    from restorekit.files.atomic import atomic_write
    from restorekit.files.image_io import write_image
    from restorekit.visualization import strip
    path.parent.mkdir(parents=True, exist_ok=True)
    if colours is None:
        write_image(path, sheet.image)
    else:
        from PIL import Image
        picture = Image.fromarray(sheet.image).quantize(colours)
        atomic_write(path, lambda file: picture.save(file, format='PNG', optimize=True), sync=False)
    with SummaryWriter(str(path.with_suffix(''))) as writer:
        for label, row in sheet.rows.items():
            writer.add_image(f'degradations/{label}', strip(row), dataformats='HWC')

"""A web page on this machine: drop a photo, compare, download."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from restorekit.messages import InputError, MissingDependencyError, UserError

if TYPE_CHECKING:
    from restorekit.files.photo import Photo
    from restorekit.inference.pipeline import RestorationPipeline


def demo(models: Sequence[str | os.PathLike] = (), *, host: str = '127.0.0.1', port: int | None = None,
         browser: bool = False, block: bool = True) -> tuple[Any, str, str]:
    """Serve the page. It loads nothing from elsewhere and sends nothing away.

    Args:
        models: Names of models and checkpoint files to choose from; default: the models that come with restorekit.
        host (str): Address to listen on; ``0.0.0.0`` lets other machines in.
        port (int, optional): Default: the first free one from 7860.
        browser (bool): Open the page in a browser.
        block (bool): Whether to wait until it is stopped.

    Returns:
        tuple: gradio's (app, local URL, share URL).

    Raises:
        MissingDependencyError: If gradio is not installed.
        UserError: If there is no model to choose.
    """
    page = build_page(models)
    import gradio
    theme = gradio.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['monospace'])  # no fonts from elsewhere
    app, local, share = page.launch(
        server_name=host, server_port=port, inbrowser=browser, prevent_thread_lock=not block, share=False,
        quiet=not block, theme=theme, ssr_mode=False, footer_links=[], show_error=True, css=_CSS,
        allowed_paths=[_scratch()])
    return app, local, share


def build_page(models: Sequence[str | os.PathLike] = ()) -> Any:
    """Return the page (``gradio.Blocks``) without serving it; see :func:`demo`."""
    os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')
    try:
        import gradio
    except ImportError as error:
        raise MissingDependencyError('the page needs gradio: pip install "restorekit[demo]"') from error
    choices = _choices(models)
    with gradio.Blocks(title='restorekit', analytics_enabled=False) as page:
        gradio.Markdown('# restorekit\nDrop a photo. It stays on this machine.')
        with gradio.Row():
            with gradio.Column(scale=1):
                photo = gradio.File(label='Photo', file_types=['image', '.tif', '.tiff', '.heic', '.avif'],
                                    type='filepath', elem_id='photo')
                model = gradio.Dropdown(list(choices), value=next(iter(choices)), label='Model', elem_id='model')
                strength = gradio.Slider(0, 1, value=1, step=0.05, label='Strength', elem_id='strength')
                guard = gradio.Checkbox(value=_recommends(next(iter(choices.values()))), label='Protect highlights',
                                        elem_id='guard')
                button = gradio.Button('Restore', variant='primary', elem_id='restore')
                download = gradio.DownloadButton('Download in full size', interactive=False, elem_id='download')
            with gradio.Column(scale=3):
                slider = gradio.ImageSlider(label='before | after', type='filepath', elem_id='slider', max_height=720,
                                            interactive=False)
        gradio.Examples([[str(path)] for path in example_photos()], inputs=[photo], label='Examples, made by code')

        def run(path: str | None, name: str, amount: float, protect: bool) -> tuple[tuple[str, str], Any]:
            if path is None:
                raise gradio.Error('Drop a photo first.')
            try:
                before, after, result = restore_for_page(path, choices[name], amount, protect)
            except UserError as error:
                raise gradio.Error(str(error)) from error
            return (before, after), gradio.DownloadButton(value=result, interactive=True)
        model.change(lambda name: _recommends(choices[name]), model, guard)
        button.click(run, [photo, model, strength, guard], [slider, download], concurrency_limit=1)
    return page


def restore_for_page(path: str | os.PathLike, model: str, strength: float, protect_highlights: bool
                     ) -> tuple[str, str, str]:
    """Restore a file as ``restorekit restore`` does; returns the files (preview before, preview after, result)."""
    from restorekit.files.photo import FORMATS, read_photo, write_photo
    pipeline = _pipeline(model)
    path = Path(path)
    folder = Path(tempfile.mkdtemp(dir=_scratch()))
    suffix = path.suffix if path.suffix.lower() in FORMATS else '.png'
    result = folder / f'{path.stem}_restored{suffix}'
    photo = read_photo(path)
    pipeline = _with(pipeline, protect_highlights)
    restored = pipeline.restore_photo(photo, name=path.name, strength=float(strength))
    write_photo(result, restored)
    for name, shown in (('before.jpg', photo), ('after.jpg', restored)):
        write_photo(folder / name, _preview(shown), quality=92)
    return str(folder / 'before.jpg'), str(folder / 'after.jpg'), str(result)


def example_photos(folder: str | os.PathLike | None = None) -> list[Path]:
    """Return three hazy pictures of procedural scenes, written where they are not there yet."""
    import torch

    from restorekit.datasets import ProceduralScenes
    from restorekit.files.image_io import write_image
    from restorekit.functional.images import to_array
    from restorekit.registry import DEGRADATIONS
    folder = Path(folder or Path(_scratch(), 'examples'))
    haze = DEGRADATIONS.build(dict(type='AtmosphericScattering', beta=(1.2, 1.8)))
    paths = []
    for seed, style in enumerate(('city', 'highland', 'city')):
        path = folder / f'hazy_{style}_{seed}.jpg'
        paths.append(path)
        if path.is_file():
            continue
        item = ProceduralScenes(length=1, height=384, width=576, style=style, scene_seed=seed)[(0, seed)]
        clear = item['inputs'][None].float() / 255
        depth = item['data_samples'].depth[None]
        with torch.no_grad():
            hazy = haze.apply(clear, depth, haze.sample([seed], 384, 576))
        write_image(path, to_array(hazy[0]), quality=92)
    return paths


def _choices(models: Sequence[str | os.PathLike]) -> dict[str, str]:
    """Name on the page -> what is loaded; the first is chosen."""
    from restorekit.inference import list_models
    from restorekit.inference.load import DEFAULT_MODEL
    from restorekit.zoo.index import find_model
    if models:
        names = [Path(model).name if Path(model).is_file() else str(model) for model in models]
        return {name if names.count(name) == 1 else str(model): str(model)
                for name, model in zip(names, models, strict=True)}
    found = {name: name for name in sorted(list_models(), key=lambda name: name != DEFAULT_MODEL)
             if find_model(name).path.is_file()}
    if not found:
        raise InputError('restorekit comes without a model yet; give a checkpoint with --checkpoint')
    return found


def _recommends(model: str) -> bool:
    """Whether highlights are protected with a model unless told otherwise, as the command does."""
    return _pipeline(model).protect_highlights


@functools.lru_cache(maxsize=4)
def _pipeline(model: str) -> RestorationPipeline:
    from restorekit.inference import load
    return load(model)


def _with(pipeline: RestorationPipeline, protect_highlights: bool) -> RestorationPipeline:
    import copy
    pipeline = copy.copy(pipeline)
    pipeline.protect_highlights = bool(protect_highlights)
    return pipeline


def _preview(photo: Photo, side: int = 1600) -> Photo:
    import cv2

    from restorekit.files.image_io import unit_scale
    from restorekit.files.photo import Page, Photo, to_depth
    pixels = photo.pixels
    if pixels.dtype.kind == 'f':
        pixels = pixels / np.float32(unit_scale(pixels))
    pixels = to_depth(pixels, np.dtype(np.uint8))
    scale = min(1, side / max(pixels.shape[:2]))
    if scale < 1:
        height, width = (max(1, round(size * scale)) for size in pixels.shape[:2])
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return Photo([Page(pixels)], 'JPEG', metadata=photo.metadata)


@functools.cache
def _scratch() -> str:
    return tempfile.mkdtemp(prefix='restorekit-demo-')


_CSS = '.gradio-container {max-width: 1400px !important; margin: auto}'

"""Draw scenes made by code as a model restores them, for its card: what it does well, then what it does badly.

python tools/research/model_picture.py restorekit/zoo/weights/haze.safetensors docs/images/haze_model.jpg
"""

import sys

import cv2
import numpy as np
import torch

import restorekit
from restorekit.functional.images import to_array
from restorekit.registry import DEGRADATIONS
from restorekit.scenes import render_scene
from restorekit.zoo.index import find_model

SCENES = (  # style, seed, degradation
    ('room', 8, dict(type='AtmosphericScattering', beta=1.3, airlight=1.0)),
    ('city', 3, dict(type='AtmosphericScattering', beta=2.0, airlight=0.85)),
    ('highland', 5, dict(type='Dust', beta=1.2)),
    ('city', 7, dict(type='Sequential', children=[
        dict(type='AtmosphericScattering', beta=4.5, airlight=0.9), dict(type='JPEG', quality=40)])),
    ('city_night', 4, dict(type='NightGlow', glow=2.0)))


def main(model, path, size=(168, 224)):
    """Write rows of four pictures: degraded, ``dcp``, the model, the truth."""
    networks, rows = [restorekit.load_network(file) for file in (find_model('dcp').path, model)], []
    for style, seed, degradation in SCENES:
        clear, depth = render_scene(seed, *size, style)
        truth = torch.from_numpy(clear).permute(2, 0, 1)[None].float() / 255
        hazy, _ = DEGRADATIONS.build(degradation)(truth, torch.from_numpy(depth)[None, None], seeds=[seed])
        with torch.no_grad():
            images = [hazy, *(network(hazy).clamp(0, 1) for network in networks), truth]
        rows.append(np.hstack([to_array(image[0]) for image in images]))
    cv2.imwrite(path, np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == '__main__':
    main(*sys.argv[1:])

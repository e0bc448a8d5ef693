import numpy as np

from restorekit.scenes.parts import SUPERSAMPLING
from restorekit.scenes.renderer import _draw, render_scene


def test_a_room_is_closed_and_its_farthest_point_lies_at_one():
    for seed in range(6):
        _, depth = render_scene(seed, 48, 64, 'room')
        assert 0.98 < depth.max() <= 1 and depth.min() > 0.01


def test_the_floor_is_the_plane_a_camera_of_that_height_sees():
    """Most of the lowest row is floor; there Z = f h / (row - horizon), the least depth of anything on that row."""
    hits = 0
    for seed in range(12):
        canvas, _ = _draw(seed, 96, 128, 'room')
        camera, row = canvas.camera, canvas.depth.shape[0] - 1
        floor = camera.focal * camera.height / (row - camera.horizon)
        assert canvas.depth[row].max() <= floor * 1.001
        hits += np.isclose(canvas.depth[row], floor, rtol=1e-4).mean() > 0.3
    assert hits >= 6


def test_rooms_differ_in_depth_and_have_structure():
    scenes = [render_scene(seed, 48, 64, 'room') for seed in range(10)]
    depths = np.stack([depth for _, depth in scenes])
    assert np.std(depths.mean(axis=(1, 2))) > 0.03
    jumps = np.abs(np.diff(depths, axis=2)) > 0.03
    assert jumps.any(axis=1).mean() > 0.1  # edges of furniture
    assert all(40 < image.mean() < 220 and image.std() > 12 for image, _ in scenes)


def test_walls_meet_the_canvas_everywhere():
    canvas, far = _draw(3, 40, 60, 'room')
    assert np.isfinite(canvas.depth).all() and canvas.depth.shape == (40 * SUPERSAMPLING, 60 * SUPERSAMPLING)
    assert far == canvas.depth.max()

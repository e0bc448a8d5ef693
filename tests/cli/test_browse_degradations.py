import cv2
import numpy as np
import pytest

from restorekit.cli.main import main
from restorekit.degradations import build_degradation, params_to_json
from restorekit.files.image_io import read_image
from restorekit.tasks import browse_degradations


def call(*arguments):
    """Run the command; returns its exit status."""
    return main(['browse-degradations', *map(str, arguments)])


def test_a_row_for_the_preset_and_each_operator_in_it(tmp_path, make_images):
    image, depth = make_images(tmp_path, ['clear.png'], size=(48, 64))[0], tmp_path / 'depth.png'
    cv2.imwrite(str(depth), np.full((48, 64), 128, np.uint8))
    out = tmp_path / 'sheets' / 'night.png'
    assert call('night', '--image', image, '--depth', depth, '--out', out, '--columns', 3, '--draws', 6,
                '--height', 48) == 0
    sheet = read_image(out)
    assert sheet.shape[1] == 4 * 64 + 3 * 4
    assert np.array_equal(sheet[24 + 24:24 + 48, :64], read_image(image)[24:])
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    logs = EventAccumulator(str(out.with_suffix('')))
    logs.Reload()
    assert logs.Tags()['images'] == [f'degradations/{row}' for row in ('night', 'NightHaze', 'PoissonGaussianNoise')]


def test_columns_go_from_weak_to_strong(tmp_path):
    out = tmp_path / 'day.png'
    assert call('day', 'dust', '--out', out, '--columns', 4, '--draws', 8, '--height', 32, '--colours', 64) == 0
    raw = cv2.imread(str(out))
    # first row, below the titles and beside the label: clear, then the strengths
    cells = [raw[24:56, k * 46:k * 46 + 42].astype(float) for k in range(5)]
    differences = [np.sqrt(np.square(cell - cells[0])[26:].mean()) for cell in cells]
    assert differences[0] == 0 and differences[1] < differences[4]
    from PIL import Image
    with Image.open(out) as picture:
        assert picture.mode == 'P'


def test_every_operator_is_shown():
    shown = browse_degradations.collect(['operators'])
    assert {'AtmosphericScattering', 'NightHaze', 'Underwater', 'JPEG'} <= set(shown)
    assert not {'Sequential', 'OneOf', 'Maybe', 'Shuffle'} & set(shown)
    assert list(browse_degradations.collect(['ridcp_like'])) == [
        'ridcp_like', 'LowLight', 'PoissonGaussianNoise', 'AtmosphericScattering', 'JPEG']


def test_parameters_are_written_without_seeds_and_by_what_was_applied():
    dust = dict(type='Dust', red=0.75, green=1., beta=0.5, wavelength_exponent=0., depth_offset=0., contrast=0.)
    chain = build_degradation(dict(type='OneOf', children=[dict(type='Maybe', p=1., child=dust)]))
    text = chain.describe(params_to_json(chain.sample([3], 8, 8))[0], every=True)
    assert text == ['Dust: airlight 0.75 0.75 0.75 beta 0.5 0.5 0.5 depth_offset 0 contrast 0']


@pytest.mark.parametrize(('arguments', 'message'), [
    (('day', '--columns', 0), 'columns must be at least 1'),
    (('day', '--draws', 2), 'draws must be at least columns (5), but got 2'),
    (('day', '--depth', 'd.png'), 'give the image too'),
    (('day', '--colours', 1), 'colours must be within'),
    (('day', '--style', 'sea'), "style must be one of city, city_night, highland, room, but got 'sea'"),
    (('days',), "unknown preset 'days': did you mean 'day'"),
    (('day', '--image', 'none.png'), 'none.png')])
def test_mistakes_are_explained(arguments, message, tmp_path, capsys):
    assert call(*arguments, '--out', tmp_path / 'x.png') == 1
    assert message in capsys.readouterr().err


def test_python_gets_the_rows():
    seen = []
    sheet = browse_degradations.browse_degradations(['day', 'dust'], columns=2, draws=4, height=32,
                                                    progress=lambda *numbers: seen.append(numbers))
    assert list(sheet.rows) == ['day', 'dust'] and [len(row) for row in sheet.rows.values()] == [3, 3]
    assert seen == [(1, 2), (2, 2)] and sheet.image.dtype == np.uint8 and sheet.image.shape[2] == 3

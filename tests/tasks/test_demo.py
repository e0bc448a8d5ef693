import json
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from restorekit.checkpoint import atomic_save, network_json
from restorekit.cli.main import main
from restorekit.files.image_io import read_image
from restorekit.models import AODNet
from restorekit.tasks.demo import example_photos, restore_for_page


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    network = AODNet()
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp('demo') / 'aod.pth'
    atomic_save(dict(meta=dict(restorekit=dict(format=1, network=network_json(dict(type='AODNet')))),
                     state_dict={f'network.{key}': value for key, value in network.state_dict().items()}), path)
    return path


@pytest.fixture
def photo(tmp_path):
    small = np.random.default_rng(0).integers(60, 220, (6, 9, 3), dtype=np.uint8)
    path = tmp_path / 'lake.png'
    cv2.imwrite(str(path), cv2.resize(small, (180, 120), interpolation=cv2.INTER_CUBIC))
    return path


def test_the_page_restores_as_the_command_does(checkpoint, photo, tmp_path):
    before, after, result = restore_for_page(photo, str(checkpoint), 0.5, False)
    assert Path(result).name == 'lake_restored.png'
    assert main(['restore', str(photo), '-o', str(tmp_path / 'out.png'), '--checkpoint', str(checkpoint), '--strength',
                 '0.5']) == 0
    assert Path(result).read_bytes() == (tmp_path / 'out.png').read_bytes()
    assert read_image(before).shape == read_image(after).shape == (120, 180, 3)
    assert np.abs(read_image(after).astype(int) - read_image(result)).mean() < 4


def test_examples_are_made_by_code(tmp_path):
    paths = example_photos(tmp_path)
    assert len(paths) == 3 and len(set(paths)) == 3
    assert all(read_image(path).shape == (384, 576, 3) for path in paths)
    stamps = [path.stat().st_mtime_ns for path in paths]
    assert [path.stat().st_mtime_ns for path in example_photos(tmp_path)] == stamps


@pytest.fixture
def browser():
    """A Chromium that reaches this machine only."""
    webdriver = pytest.importorskip('selenium.webdriver', reason='selenium is not installed')
    chromium, driver = shutil.which('chromium') or shutil.which('google-chrome'), shutil.which('chromedriver')
    if not chromium or not driver:
        pytest.skip('no Chromium with its driver is installed (Debian: chromium, chromium-driver)')
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu',
                     '--window-size=1400,950', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', {'performance': 'ALL'})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield made
    made.quit()


def wait(condition, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError('the page did not get there')


@pytest.mark.slow
def test_in_a_browser(checkpoint, photo, tmp_path, browser):
    pytest.importorskip('gradio')
    import gradio
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    from restorekit.tasks.demo import demo
    _, url, _ = demo([checkpoint], block=False)
    try:
        browser.get(url)
        wait(lambda: browser.find_elements(By.CSS_SELECTOR, '#photo input[type=file]'))[0].send_keys(str(photo))
        wait(lambda: 'lake' in browser.find_element(By.ID, 'photo').text)
        wait(lambda: browser.find_elements(By.ID, 'restore'))[0].click()
        images = wait(lambda: len(found := browser.find_elements(By.CSS_SELECTOR, '#slider img')) >= 2 and found)
        wait(lambda: all(browser.execute_script('return arguments[0].naturalWidth', image) == 180 for image in images))
        wait(lambda: browser.find_element(By.ID, 'download').is_enabled())
        browser.execute_cdp_cmd('Browser.setDownloadBehavior', dict(behavior='allow', downloadPath=str(tmp_path)))
        browser.find_element(By.ID, 'download').click()
        target = tmp_path / 'lake_restored.png'
        wait(lambda: target.is_file() and not list(tmp_path.glob('*.crdownload')))
        downloaded = target.read_bytes()
        assert main(['restore', str(photo), '-o', str(tmp_path / 'out.png'), '--checkpoint', str(checkpoint)]) == 0
        assert downloaded == (tmp_path / 'out.png').read_bytes()

        before = browser.get_screenshot_as_png()
        handle = browser.find_element(By.CSS_SELECTOR, '#slider .outer, #slider [role=slider], #slider .inner')
        ActionChains(browser).move_to_element(handle).click_and_hold().move_by_offset(-200, 0).release().perform()
        time.sleep(1)
        after = browser.get_screenshot_as_png()
        (tmp_path / 'page.png').write_bytes(after)
        one, two = (cv2.imdecode(np.frombuffer(data, np.uint8), 1) for data in (before, after))
        assert (one != two).any(), 'the slider did not move'
        asked = [json.loads(entry['message'])['message'] for entry in browser.get_log('performance')]
        urls = [event['params']['request']['url'] for event in asked if event['method'] == 'Network.requestWillBeSent']
        foreign = [text for text in urls if not text.startswith((url, 'data:', 'blob:', 'chrome'))]
        assert not foreign, f'the page asks for {foreign}'
    finally:
        gradio.close_all()


def test_the_page_begins_as_the_command_does(tmp_path):
    pytest.importorskip('gradio')
    from restorekit.tasks.demo import build_page
    page = {block.elem_id: block for block in build_page().blocks.values() if getattr(block, 'elem_id', None)}
    assert page['model'].value == 'haze' and page['guard'].value is True
    assert [name for name, _ in page['model'].choices] == ['haze', 'cap', 'dcp']


def test_checkpoints_of_one_name_are_told_apart(checkpoint, tmp_path):
    from restorekit.tasks.demo import _choices
    paths = [str(tmp_path / folder / 'latest.pth') for folder in 'ab']
    for path in paths:
        Path(path).parent.mkdir()
        shutil.copy(checkpoint, path)
    assert _choices([*paths, checkpoint]) == {paths[0]: paths[0], paths[1]: paths[1], 'aod.pth': str(checkpoint)}

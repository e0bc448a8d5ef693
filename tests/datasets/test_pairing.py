import logging

import pytest
from mmengine.logging import MMLogger

from restorekit.datasets import ClearDepthDataset, PairedDataset
from restorekit.datasets.pairing import pair_names

WHERE = ('hazy', 'clear')


@pytest.mark.parametrize(('pairing', 'hazy', 'clear', 'order'), [
    ('stem', ['b.jpg', 'x/a.png'], ['x/a.png', 'b.bmp'], [1, 0]),
    ('prefix', ['0001_0.8_0.2.jpg', '0001_0.9_0.12.jpg', '0002_1_0.2.jpg'], ['0001.jpg', '0002.jpg'], [0, 0, 1]),
    ('prefix', ['x/1_2.png', 'y/1_2.png'], ['x/1.png', 'y/1.png'], [0, 1]),
    ('suffix', ['01_outdoor_hazy.jpg', 'x_y/2_hazy.png'], ['x_y/2_GT.png', '01_outdoor_GT.jpg'], [1, 0]),
    ('suffix', ['7_hazy.png'], ['7.png'], [0]),
    (dict(input=r'^(\d+)_'), ['12_3.png'], ['1.png', '12.png'], [1]),
    (dict(input=r'haze(\d+)_(\w)', gt=r'(\d+)/(\w)\.'), ['haze1_b.png', 'haze11_a.png'], ['11/a.png', '1/b.png'],
     [1, 0]),
    (dict(input=r'\d+', gt=r'\d+'), ['hazy-004.png'], ['readme.png', 'clear-004.png'], [1])])
def test_rules(pairing, hazy, clear, order):
    assert pair_names(hazy, clear, pairing, WHERE).tolist() == order


@pytest.mark.parametrize(('pairing', 'hazy', 'clear', 'message'), [
    ('stem', [f'{i}_1.png' for i in range(50)], [f'{i}.png' for i in range(50)],
     r"^50 of 50 images in hazy have no clear image in clear by pairing='stem': 0_1.png, 1_1.png, 2_1.png, 3_1.png, "
     r"4_1.png \.\.\.; pairing='prefix' would match all 50$"),
    ('prefix', ['1_hazy.png', '2_hazy.png', '3.png'], ['1_GT.png', '2_GT.png'],
     "3 of 3 .*; pairing='suffix' would match 2 of 3"),
    (dict(input='no(thing)', gt='(.)'), ['1.png'], ['1.png'], "1 of 1 .*: 1.png; pairing='stem' would match all 1"),
    ('stem', ['a.png', 'b1.png'], ['a.png'],
     r'1 of 2 .*: b1.png; no other rule of stem, prefix, suffix would match more \(the clear images are named like '
     r'a.png\); restrict the hazy ones with include, give pairing=dict\(input=REGEX, gt=REGEX\)')])
def test_unmatched_images_are_told_the_rule_that_would_match(pairing, hazy, clear, message):
    with pytest.raises(ValueError, match=message):
        pair_names(hazy, clear, pairing, WHERE)


@pytest.mark.parametrize(('pairing', 'message'), [
    ('stme', r"must be one of 'stem', 'prefix', 'suffix', 'list' or dict\(input=REGEX, gt=REGEX\), but got 'stme'"),
    (dict(inputs='x'), 'pairing is a dict with inputs; it takes input=REGEX and gt=REGEX'),
    ({}, 'pairing is a dict with nothing'),
    (dict(input='(x', gt='x'), r"pairing: input='\(x' is not a regular expression: missing \)"),
    (dict(input='(x)(y)', gt='(x)'), 'the two expressions must have equally many groups')])
def test_a_rule_that_is_none_is_said(pairing, message):
    with pytest.raises(ValueError, match=message):
        pair_names(['1.png'], ['1.png'], pairing, WHERE)


def test_two_clear_images_of_one_are_an_error_where_it_matters(tmp_path, make_images):
    hazy, clear = str(tmp_path / 'hazy'), str(tmp_path / 'clear')
    make_images(tmp_path / 'hazy', ['1_2.png', '2_2.png'])
    make_images(tmp_path / 'clear', ['1.jpg', '1.png', '2.png', '3.png'])
    with pytest.raises(ValueError, match=f"both 1.jpg and 1.png in {clear} are the clear image of 1_2.png by "
                                         "pairing='prefix'; remove one"):
        PairedDataset(hazy, clear, pairing='prefix')
    assert len(PairedDataset(hazy, clear, pairing='prefix', include='2*')) == 1
    (tmp_path / 'clear' / '1.npy').touch()
    with pytest.raises(ValueError, match='both 1.npy and 1.png in .* are the depth map of 1.jpg'):
        ClearDepthDataset(clear, clear)


def test_clear_images_of_no_hazy_one_are_counted(tmp_path, make_images, monkeypatch):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'log', lambda level, text: lines.append((level, text)))
    make_images(tmp_path / 'hazy', ['1_1.png', '1_2.png'])
    make_images(tmp_path / 'clear', ['1.png', '2.png', '3.png'])
    dataset = PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'), pairing='prefix', expected=3, domain='ITS')
    assert dataset.unused == 2
    assert lines == [
        (logging.INFO, f'2 of 3 clear images in {tmp_path}/clear belong to no hazy image of {tmp_path}/hazy'),
        (logging.WARNING, f"PairedDataset 'ITS': 2 images where 3 are expected ({tmp_path}/hazy/1_1.png ...)")]


def test_hazy_and_clear_images_in_one_folder(tmp_path, make_images):
    make_images(tmp_path, ['01_GT.png', '01_hazy.png', '02_GT.png', '02_hazy.png'])
    dataset = PairedDataset(str(tmp_path), str(tmp_path), pairing='suffix', include='*_hazy.png')
    assert [tuple(dataset.files(i).values()) for i in range(len(dataset))] == [
        (f'{tmp_path}/{i}_hazy.png', f'{tmp_path}/{i}_GT.png') for i in ('01', '02')]
    with pytest.raises(ValueError, match='4 of 4 .*in one folder; say which are the hazy ones with include'):
        PairedDataset(str(tmp_path), str(tmp_path), pairing='suffix')


def test_a_frame_of_the_ground_truth_is_cropped(tmp_path, make_images):
    import cv2
    hazy, clear = str(tmp_path / 'hazy'), str(tmp_path / 'clear')
    make_images(tmp_path / 'clear', ['1.png', '2.png', '3.png'], size=(44, 52))
    (tmp_path / 'hazy').mkdir()
    framed = cv2.imread(f'{clear}/1.png')
    cv2.imwrite(f'{hazy}/1.png', framed[10:-10, 10:-10])
    cv2.imwrite(f'{hazy}/2.png', framed)
    cv2.imwrite(f'{hazy}/3.png', framed[10:-10, 5:-5])
    dataset = PairedDataset(hazy, clear, gt_border=10)
    item = dataset[0]
    assert item['inputs'].shape == (3, 24, 32) and item['inputs'].equal(item['data_samples'].gt)
    assert dataset[1]['data_samples'].gt.shape == (3, 44, 52)
    with pytest.raises(ValueError, match=r'differ in size: .*hazy/3.png is 42x24, .*clear/3.png is 52x44 pixels$'):
        dataset[2]
    with pytest.raises(ValueError, match='clear images have a frame, give gt_border=10'):
        PairedDataset(hazy, clear)[0]
    with pytest.raises(ValueError, match='gt_border is a number of pixels, at least 0, but got -1'):
        PairedDataset(hazy, clear, gt_border=-1)

import cv2
import numpy as np
import pytest
import torch

from restorekit.datasets import ClearDepthDataset, PairedDataset, SingleDataset, scan_images


def test_scan_is_sorted_recursive_and_filtered(tmp_path, make_images):
    make_images(tmp_path, ['b.png', 'a.jpg', 'sub/c.png'.replace('/', '_')])
    make_images(tmp_path / 'sub', ['d.png'])
    (tmp_path / 'notes.txt').write_text('x')
    (tmp_path / '.hidden.png').write_bytes(b'x')
    (tmp_path / 'loop').symlink_to(tmp_path)
    assert scan_images(tmp_path) == ['a.jpg', 'b.png', 'sub/d.png', 'sub_c.png']
    assert scan_images(tmp_path, include='sub/*') == ['sub/d.png']
    assert scan_images(tmp_path, include=['[ab].*']) == ['a.jpg', 'b.png']


def test_scan_errors_name_the_folder(tmp_path, make_images):
    with pytest.raises(FileNotFoundError, match=f'no folder {tmp_path}/nowhere'):
        scan_images(tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match='has no file with suffix'):
        scan_images(tmp_path)
    make_images(tmp_path, ['a.png'])
    with pytest.raises(FileNotFoundError, match='1 images are there but none matches include'):
        scan_images(tmp_path, include='b*')


@pytest.mark.parametrize(('pairing', 'hazy', 'clear'), [
    ('stem', ['1.png', '2.png'], ['1.jpg', '2.jpg']),
    ('prefix', ['1400_1.png', '1400_2.png', '1401_8.png'], ['1400.png', '1401.png']),
    ('suffix', ['01_hazy.png', '02_hazy.png'], ['01_GT.png', '02_GT.png'])])
def test_pairings(tmp_path, make_images, pairing, hazy, clear):
    make_images(tmp_path / 'hazy', hazy)
    make_images(tmp_path / 'clear', clear)
    dataset = PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'), pairing=pairing, domain='d')
    assert len(dataset) == len(hazy)
    for i in range(len(dataset)):
        sample = dataset[i]['data_samples']
        assert sample.gt_path.split('/')[-1][:2] == sample.img_path.split('/')[-1][:2]
        assert sample.domain == 'd' and sample.ori_shape == (24, 32)


def test_unmatched_pairs_are_counted_and_named(tmp_path, make_images):
    make_images(tmp_path / 'hazy', [f'{i}.png' for i in range(8)])
    make_images(tmp_path / 'clear', ['0.png'])
    with pytest.raises(ValueError, match=r'7 of 8 images .* 1.png, 2.png, 3.png, 4.png, 5.png \.\.\.'):
        PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'))
    with pytest.raises(ValueError, match='pairing must be one of'):
        PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'), pairing='stme')


def test_no_image_is_its_own_truth(tmp_path, make_images):
    make_images(tmp_path / 'one', ['1_hazy.png', '1_GT.png', '2_hazy.png'])
    (tmp_path / 'link').symlink_to(tmp_path / 'one')
    here, there = str(tmp_path / 'one'), str(tmp_path / 'link')
    for gt_dir in (here, f'{here}/', there):
        with pytest.raises(ValueError, match="are one folder, .* where each image would be its own truth"):
            PairedDataset(here, gt_dir)
        with pytest.raises(ValueError, match='1 of 2 images in .* have no clear image .*: 2_hazy.png'):
            PairedDataset(here, gt_dir, pairing='suffix', include='*_hazy.png')
        data = PairedDataset(here, gt_dir, pairing='suffix', include='1_hazy.png')
        assert data.files(0)['gt'].endswith('1_GT.png')
    (tmp_path / 'list.txt').write_text('1_hazy.png 1_GT.png\n2_hazy.png 2_hazy.png\n')
    with pytest.raises(ValueError, match='line 2: 2_hazy.png is named as its own clear image'):
        PairedDataset(here, there, ann_file=str(tmp_path / 'list.txt'))


def test_unequal_pair_names_both_files(tmp_path, make_images):
    make_images(tmp_path / 'hazy', ['1.png'], size=(24, 32))
    make_images(tmp_path / 'clear', ['1.png'], size=(24, 30))
    with pytest.raises(ValueError, match='hazy/1.png is 32x24, .*clear/1.png is 30x24'):
        PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'))[0]


def test_depth_is_read_as_declared(tmp_path, make_images):
    make_images(tmp_path / 'clear', ['1.png'], size=(4, 5))
    (tmp_path / 'depth').mkdir()
    values = np.linspace(0, 65535, 20).astype(np.uint16).reshape(4, 5)
    cv2.imwrite(str(tmp_path / 'depth' / '1.png'), values)
    dataset = ClearDepthDataset(str(tmp_path / 'clear'), str(tmp_path / 'depth'), depth=dict(scale=2.0))
    item = dataset[0]
    assert torch.allclose(item['data_samples'].depth[0], torch.from_numpy(values / 65535 * 2.0).float(), atol=1e-4)
    assert 'gt' not in item['data_samples']  # not degraded yet: the clear image travels as input
    cv2.imwrite(str(tmp_path / 'depth' / '1.png'), values[:3])
    with pytest.raises(ValueError, match=r'depth map .*1.png is \(3, 5\)'):
        dataset[0]


def test_depth_of_every_image_is_asked_for(tmp_path, make_images):
    make_images(tmp_path / 'clear', ['1.png', '2.png'])
    make_images(tmp_path / 'depth', ['1.png'])
    with pytest.raises(ValueError, match='1 of 2 images .* have no depth map .* 2.png'):
        ClearDepthDataset(str(tmp_path / 'clear'), str(tmp_path / 'depth'))


def test_cache_keeps_the_decoded_image_and_never_the_changed_one(tmp_path, make_images):
    path, = make_images(tmp_path, ['1.png'])
    dataset = SingleDataset(str(tmp_path), cache=True, pipeline=[dict(type='RandomCrop', size=8)])
    first = dataset[0]['inputs']
    path.unlink()
    assert torch.equal(dataset[0]['inputs'], first)
    assert any(not torch.equal(dataset[(0, n)]['inputs'], first) for n in range(1, 5))

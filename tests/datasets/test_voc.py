import pytest

from restorekit.datasets.voc import AnnotationError, VOCBoxes, find_voc, read_voc

OBJECT = ('<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{0}</xmin><ymin>{1}</ymin>'
          '<xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>')


def voc(*objects, width=64, height=48, head=''):
    return (f'{head}<annotation><size><width>{width}</width><height>{height}</height><depth>3</depth></size>'
            f'{"".join(objects)}</annotation>')


def thing(*box, name='car', difficult=0):
    return OBJECT.format(*box, name=name, difficult=difficult)


def test_boxes_names_and_difficulty_are_read(tmp_path):
    path = tmp_path / 'a.xml'
    plain = thing(0, 1, 64, 47.5).replace('<difficult>0</difficult>', '')
    path.write_text(voc(plain, thing(3, 4, 5, 6, name=' Bus ', difficult=1)))
    assert read_voc(path) == VOCBoxes(64, 48, [(0, 1, 64, 47.5), (3, 4, 5, 6)], ['car', 'Bus'], [False, True])
    path.write_text(voc(*(thing(0, 1, 2, 3, difficult=text) for text in ('', ' ', 'Unspecified', '0', '1'))))
    assert read_voc(path).difficult == [False, False, False, False, True]
    path.write_text(voc())
    assert read_voc(str(path)).boxes == []


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(('text', 'message'), [
    ('', 'is not valid XML'),
    ('<annotation>', 'is not valid XML'),
    ('<boxes/>', r'its root is <boxes>, not <annotation>'),
    (voc(width=0), 'its image is 0x48 pixels'),
    (voc(width=6.5), 'its image is 6.5x48'),
    (voc().replace('<width>64</width>', ''), 'the image has no <size/width>'),
    (voc(width='wide'), "the image has 'wide' as <size/width>, which is not a finite number"),
    (voc(thing(1, 2, 3, 4), thing('nan', 2, 3, 4)), "object 2 has 'nan' as <bndbox/xmin>"),
    (voc(thing(1, 2, 3, 4).replace('<ymax>4</ymax>', '')), 'object 1 has no <bndbox/ymax>'),
    (voc(thing(1, 2, 3, 4, name='')), 'object 1 has no <name>'),
    (voc(thing(5, 2, 5, 4)), r'the box of object 1 \(car\), 5 2 5 4 .* is empty or leaves the image of 64x48'),
    (voc(thing(5, 2, 66, 4)), 'leaves the image'),
    (voc(thing(-2, 2, 6, 4)), 'leaves the image'),
    (voc(head=LAUGHS), 'has a document type'),
    (voc(head='<!DOCTYPE a SYSTEM "file:///etc/passwd">'), 'has a document type')])
def test_malformed_files_are_named(tmp_path, text, message):
    path = tmp_path / 'broken.xml'
    path.write_text(text)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_voc(path)
    assert str(path) in str(caught.value)


def test_a_document_type_in_another_encoding_is_found(tmp_path):
    (tmp_path / 'a.xml').write_bytes(('<?xml version="1.0" encoding="utf-16"?>' + voc(head=LAUGHS)).encode('utf-16'))
    with pytest.raises(AnnotationError, match='document type'):
        read_voc(tmp_path / 'a.xml')
    (tmp_path / 'a.xml').write_bytes(b'<?xml version="1.0" encoding="klingon"?><annotation/>')
    with pytest.raises(AnnotationError, match='not valid XML'):
        read_voc(tmp_path / 'a.xml')
    with pytest.raises(FileNotFoundError, match=r'no annotation file .*b\.xml'):
        read_voc(tmp_path / 'b.xml')


def test_photos_and_annotations_pair_by_stem(tmp_path, make_images):
    make_images(tmp_path / 'photos', ['b.png', 'a.jpg', 'lone.png'])
    make_images(tmp_path / 'photos' / 'night', ['a.png'])
    for name in ('a', 'b', 'night/a', 'other', 'third'):
        path = tmp_path / 'voc' / f'{name}.xml'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(voc())
    pairs, photos, files = find_voc(tmp_path / 'photos', tmp_path / 'voc')
    assert [(a.relative_to(tmp_path).as_posix(), b.relative_to(tmp_path).as_posix()) for a, b in pairs] == [
        ('photos/a.jpg', 'voc/a.xml'), ('photos/b.png', 'voc/b.xml'), ('photos/night/a.png', 'voc/night/a.xml')]
    assert (photos, files) == (1, 2)
    make_images(tmp_path / 'photos', ['a.png'])
    with pytest.raises(ValueError, match=r'a\.jpg and a\.png .* would share one annotation'):
        find_voc(tmp_path / 'photos', tmp_path / 'voc')


def test_folders_that_do_not_fit_are_explained(tmp_path, make_images):
    make_images(tmp_path / 'photos', ['x.png'])
    with pytest.raises(FileNotFoundError, match='no folder .*voc of annotations'):
        find_voc(tmp_path / 'photos', tmp_path / 'voc')
    (tmp_path / 'voc').mkdir()
    with pytest.raises(FileNotFoundError, match='no XML file below'):
        find_voc(tmp_path / 'photos', tmp_path / 'voc')
    (tmp_path / 'voc' / 'y.xml').write_text(voc())
    with pytest.raises(FileNotFoundError, match=r'there are photos such as x and annotations such as y$'):
        find_voc(tmp_path / 'photos', tmp_path / 'voc')

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from restorekit.cli.main import main
from restorekit.inference import RestorationPipeline
from restorekit.inference.sequence import SequenceRestorer
from restorekit.inference.torch_backend import TorchBackend
from restorekit.inference.video import VideoFileError, restore_video
from restorekit.models import RestorationNetwork

av = pytest.importorskip('av')


class Stretch(RestorationNetwork):
    """Stretches each colour by the darkest and brightest pixel of the image: flickers with its noise."""

    tiling = 'coefficients'

    def coefficients(self, x):
        low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return 1 / (high - low + 0.5), 0.5 * low

    def apply_coefficients(self, x, gain, low, rows=None, height=None):
        return (x - low) * gain

    def forward(self, x):
        return self.apply_coefficients(x, *self.coefficients(x))


@pytest.fixture
def model():
    made = object.__new__(RestorationPipeline)
    made.checkpoint, made.backend = 'none', TorchBackend(Stretch().eval(), 'cpu')
    made.tile, made.strength, made.protect_highlights = 'auto', 1.0, False
    return made


def scene(count, height=48, width=64, noise=6, seed=0):
    """A static scene with the noise of a sensor."""
    generator = np.random.default_rng(seed)
    base = cv2.resize(generator.integers(60, 200, (5, 7, 3), dtype=np.uint8), (width, height),
                      interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return [np.clip(base + generator.normal(0, noise, base.shape), 0, 255).astype(np.uint8) for _ in range(count)]


def write(path, frames, codec='libx264', pix_fmt='yuv420p', times=None, audio=True, rotation=None, tags=True):
    with av.open(str(path), 'w') as output:
        stream = output.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000)
        if tags:
            stream.codec_context.colorspace, stream.codec_context.color_primaries = 1, 1
            stream.codec_context.color_trc = 1
        if codec != 'mpeg4':
            stream.codec_context.options = {'crf': '4', 'x265-params': 'log-level=error'}
        sound = output.add_stream('aac', rate=44100) if audio else None
        for i, frame in enumerate(frames):
            made = av.VideoFrame.from_ndarray(frame, format='rgb48le' if frame.dtype == np.uint16 else 'rgb24')
            made = made.reformat(format=pix_fmt, dst_colorspace='ITU709')
            made.pts, made.time_base = (times[i] if times else 40 * i), Fraction(1, 1000)
            output.mux(stream.encode(made))
        output.mux(stream.encode())
        if sound is not None:
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
            tone.sample_rate = 44100
            for i in range(20):
                tone.pts, tone.time_base = 1024 * i, Fraction(1, 44100)
                output.mux(sound.encode(tone))
            output.mux(sound.encode())
    return path


def read(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        frames = list(container.decode(stream))
        return ([f.to_ndarray(format='rgb24', src_colorspace='ITU709') for f in frames],
                [float(f.pts * f.time_base) for f in frames], context)


def test_frames_times_sound_and_tags_survive(model, tmp_path):
    times = [0, 40, 90, 200, 240, 280]
    write(tmp_path / 'a.mp4', scene(6), times=times)
    report = restore_video(model, tmp_path / 'a.mp4', tmp_path / 'out.mp4', smooth=0)
    assert report.frames == 6 and report.size == (64, 48) and report.broken == 0
    frames, stamps, context = read(tmp_path / 'out.mp4')
    assert np.allclose(stamps, np.array(times) / 1000, atol=1e-3)
    assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
    given, _, _ = read(tmp_path / 'a.mp4')
    for frame, source in zip(frames, given, strict=True):
        assert np.abs(frame.astype(int) - model(source)).mean() < 6
    with av.open(str(tmp_path / 'out.mp4')) as output, av.open(str(tmp_path / 'a.mp4')) as source:
        packets = [[bytes(p) for p in x.demux(x.streams.audio[0]) if p.size] for x in (output, source)]
    assert packets[0] == packets[1] and len(packets[0]) > 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.mp4', 'out.mp4']


def test_ten_bits_stay_ten_bits(model, tmp_path):
    deep = [frame.astype(np.uint16) * 257 for frame in scene(3)]
    write(tmp_path / 'a.mkv', deep, codec='libx265', pix_fmt='yuv420p10le', audio=False)
    restore_video(model, tmp_path / 'a.mkv', tmp_path / 'out.mkv')
    assert read(tmp_path / 'out.mkv')[2].pix_fmt == 'yuv420p10le'


def flicker(frames):
    """Mean change over time of the ratio of the picture to its mean over time."""
    means = np.array([frame.mean((0, 1)) for frame in frames], np.float64)
    return np.abs(np.diff(means / means.mean(0), axis=0)).mean()


def test_a_static_scene_does_not_flicker_and_changes_as_much(model):
    frames = scene(60)
    single = [model(frame) for frame in frames]
    restorer = SequenceRestorer(model, 25)
    smooth = [restorer.restore_pixels(frame) for frame in frames]
    assert flicker(single) > 2 * flicker(frames), 'the network flickers by itself'
    ratio = [[out / np.maximum(x.astype(np.float64), 1) for out, x in zip(outs, frames, strict=True)]
             for outs in (single, smooth)]
    assert flicker(ratio[1]) < 0.3 * flicker(ratio[0])
    gain = [np.array([[out.mean((0, 1)) / x.mean((0, 1))]]) for out, x in zip(smooth, frames, strict=True)]
    assert flicker(gain) <= 1.1 * flicker(frames)
    change = [np.mean([np.abs(out.astype(float) - x).mean() for out, x in zip(outs, frames, strict=True)])
              for outs in (single, smooth)]
    assert change[1] == pytest.approx(change[0], rel=0.05)


def test_what_moves_is_followed_in_a_second_and_what_stands_still_is_not(model):
    def followed(step):
        restorer = SequenceRestorer(model, 25)
        restorer.restore_pixels(np.full((32, 32, 3), 100, np.uint8))
        before = [x.copy() for x in restorer.held]
        frame = np.full((32, 32, 3), 100 + step, np.uint8)
        restorer.restore_pixels(frame)
        seen = model.look(frame)
        return float(((restorer.held[1] - before[1]) / (seen[1] - before[1])).mean())
    assert followed(20) == pytest.approx(1 - np.exp(-1 / 25), rel=1e-3)
    assert followed(1) == pytest.approx((1 - np.exp(-1 / 25)) / 255 / 0.02, rel=1e-3)


def test_a_new_scene_begins_anew(model):
    first, second = scene(5), [255 - frame for frame in scene(5, seed=3)]
    restorer = SequenceRestorer(model, 1000)
    for frame in first:
        restorer.restore_pixels(frame)
    assert np.array_equal(restorer.restore_pixels(second[0]), model(second[0]))


def test_averages_of_other_networks_are_smoothed_too():
    from test_tiling import Strided, pipeline
    torch.manual_seed(0)
    made = pipeline(Strided(attention=True))
    restorer = SequenceRestorer(made, 25)
    frames = scene(3)
    assert np.abs(restorer.restore_pixels(frames[0]).astype(int) - made(frames[0])).max() <= 1
    held = [x.copy() for x in restorer.held]
    restorer.restore_pixels(frames[1])
    seen = made.look(frames[1])
    small = [cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA) / 255. for frame in frames[:2]]
    weight = (1 - np.exp(-1 / 25)) * min(1, max(np.abs(small[1] - small[0]).mean() / 0.02, 0.05))
    for old, new, now in zip(held, seen, restorer.held, strict=True):
        assert np.allclose(now, old + (new - old) * weight, atol=1e-4)


def test_a_cut_run_continues_with_the_first_missing_segment(model, tmp_path, monkeypatch):
    write(tmp_path / 'a.mp4', scene(10))
    restore_video(model, tmp_path / 'a.mp4', tmp_path / 'whole.mp4', segment=4)
    calls = []
    plain = RestorationPipeline.restore_pixels

    def stop(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)
    monkeypatch.setattr(RestorationPipeline, 'restore_pixels', stop)
    with pytest.raises(KeyboardInterrupt):
        restore_video(model, tmp_path / 'a.mp4', tmp_path / 'out.mp4', segment=4)
    assert not (tmp_path / 'out.mp4').exists()
    report = restore_video(model, tmp_path / 'a.mp4', tmp_path / 'out.mp4', segment=4)
    assert report.resumed == 4 and report.frames == 10
    assert len(calls) == 7 + 6
    whole, resumed = read(tmp_path / 'whole.mp4'), read(tmp_path / 'out.mp4')
    assert np.array_equal(whole[0], resumed[0]) and whole[1] == resumed[1]


def test_languages_chapters_rate_and_shape_of_pixels_are_kept(model, tmp_path):
    def tone(stream):
        for i in range(12):
            made = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
            made.sample_rate, made.pts, made.time_base = 44100, 1024 * i, Fraction(1, 44100)
            yield from stream.encode(made)
        yield from stream.encode()
    with av.open(str(tmp_path / 'a.mkv'), 'w') as output:
        video = output.add_stream('libx264', rate=24)
        video.height, video.width, video.pix_fmt = 48, 64, 'yuv420p'
        video.codec_context.sample_aspect_ratio = Fraction(16, 15)
        sounds = [output.add_stream('aac', rate=44100, layout='mono') for _ in range(2)]
        sounds[0].metadata.update(language='ger', title='Ton')
        sounds[1].metadata['language'], sounds[1].disposition = 'eng', av.stream.Disposition.comment
        output.set_chapters([dict(id=1, start=0, end=200, time_base=Fraction(1, 1000), metadata=dict(title='One'))])
        for frame in scene(8):
            output.mux(video.encode(av.VideoFrame.from_ndarray(frame, format='rgb24').reformat(format='yuv420p')))
        output.mux(video.encode())
        for sound in sounds:
            output.mux(list(tone(sound)))
    restore_video(model, tmp_path / 'a.mkv', tmp_path / 'out.mkv', segment=5)
    restore_video(model, tmp_path / 'a.mkv', tmp_path / 'again.mkv', segment=5)
    assert (tmp_path / 'out.mkv').read_bytes() == (tmp_path / 'again.mkv').read_bytes()
    with av.open(str(tmp_path / 'out.mkv')) as found:
        video, first, second = found.streams
        assert video.sample_aspect_ratio == Fraction(16, 15) and video.average_rate == 24
        assert (first.metadata['language'], first.metadata['title']) == ('ger', 'Ton')
        assert second.metadata['language'] == 'eng'
        assert second.disposition & av.stream.Disposition.comment
        assert [chapter['metadata'] for chapter in found.chapters()] == [dict(title='One')]


def test_frames_of_another_size_are_scaled_to_the_first(model, tmp_path):
    content = b''
    for height, frames in ((48, scene(4)), (32, scene(4, height=32))):
        with av.open(str(tmp_path / 'part.ts'), 'w') as output:
            stream = output.add_stream('libx264', rate=25, options={'bf': '0'})
            stream.height, stream.width, stream.pix_fmt = height, 64, 'yuv420p'
            for i, frame in enumerate(frames):
                made = av.VideoFrame.from_ndarray(frame, format='rgb24').reformat(format='yuv420p')
                made.pts, made.time_base = i + 4 * (height == 32), Fraction(1, 25)
                output.mux(stream.encode(made))
            output.mux(stream.encode())
        content += (tmp_path / 'part.ts').read_bytes()
    (tmp_path / 'a.ts').write_bytes(content)
    restore_video(model, tmp_path / 'a.ts', tmp_path / 'out.mkv', segment=4)
    assert [frame.shape for frame in read(tmp_path / 'out.mkv')[0]] == [(48, 64, 3)] * 8


def test_odd_sizes_and_old_codecs(model, tmp_path):
    write(tmp_path / 'a.avi', scene(3), codec='mpeg4', audio=False, tags=False)
    restore_video(model, tmp_path / 'a.avi', tmp_path / 'out.mkv')
    assert len(read(tmp_path / 'out.mkv')[0]) == 3


def test_bad_films_are_sentences(model, tmp_path):
    (tmp_path / 'text.mp4').write_text('not a film')
    with pytest.raises(VideoFileError, match='text.mp4 is not a film that PyAV'):
        restore_video(model, tmp_path / 'text.mp4', tmp_path / 'out.mp4')
    with av.open(str(tmp_path / 'sound.mp4'), 'w') as output:
        stream = output.add_stream('aac', rate=44100)
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
        tone.sample_rate, tone.pts = 44100, 0
        output.mux(stream.encode(tone))
        output.mux(stream.encode())
    with pytest.raises(VideoFileError, match='sound.mp4 has no video stream'):
        restore_video(model, tmp_path / 'sound.mp4', tmp_path / 'out.mp4')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['sound.mp4', 'text.mp4']


def test_a_broken_packet_in_the_middle_is_left_out(model, tmp_path):
    path = write(tmp_path / 'a.mkv', scene(12), codec='mpeg4', audio=False, tags=False)
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    at, size = packets[5]
    start = data.find(bytes(data[at:at + 4]), at)
    data[start + 8:start + size] = bytes(size - 8)
    path.write_bytes(bytes(data))
    report = restore_video(model, path, tmp_path / 'out.mkv')
    assert 9 <= report.frames <= 12 and len(read(tmp_path / 'out.mkv')[0]) == report.frames


def test_films_of_a_folder_by_the_command(tmp_path, make_images, capsys):
    from restorekit.checkpoint import atomic_save, network_json
    from restorekit.models import AODNet
    network = AODNet()
    atomic_save(dict(meta=dict(restorekit=dict(format=1, network=network_json(dict(type='AODNet')))),
                     state_dict={f'network.{key}': value for key, value in network.state_dict().items()}),
                tmp_path / 'aod.pth')
    make_images(tmp_path / 'in', ['a.png'])
    write(tmp_path / 'in' / 'b.mp4', scene(3))
    (tmp_path / 'in' / 'c.mov').write_bytes(b'nothing')
    assert main(['restore', str(tmp_path / 'in'), '-o', str(tmp_path / 'out'), '--checkpoint',
                 str(tmp_path / 'aod.pth'), '--video-crf', '20']) == 1
    assert 'c.mov is not a film' in capsys.readouterr().err
    assert sorted(path.name for path in Path(tmp_path, 'out').iterdir()) == ['a.png', 'b.mp4']


def test_a_rotation_is_applied(model, tmp_path):
    frames = scene(2, noise=0)
    for frame in frames:
        frame[:12, :16] = 250  # the corner that a clockwise turn moves to the right
    path = write(tmp_path / 'a.mp4', frames, audio=False)
    data = bytearray(path.read_bytes())
    at = data.find(b'tkhd') + 4 + 40
    data[at:at + 16] = b''.join(value.to_bytes(4, 'big', signed=True) for value in (0, 1 << 16, 0, -(1 << 16)))
    path.write_bytes(bytes(data))
    assert restore_video(model, path, tmp_path / 'out.mp4', strength=0).size == (48, 64)
    frame = read(tmp_path / 'out.mp4')[0][0]
    turned = np.rot90(frames[0], -1)
    assert frame.shape == turned.shape and np.abs(frame.astype(int) - turned).mean() < 8


def test_subtitles_are_copied_with_their_times(model, tmp_path):
    texts = ['first words', 'second words']
    (tmp_path / 'a.srt').write_text('1\n00:00:00,000 --> 00:00:00,150\nfirst words\n\n'
                                    '2\n00:00:00,200 --> 00:00:00,350\nsecond words\n')
    with av.open(str(tmp_path / 'a.srt')) as subtitles, av.open(str(tmp_path / 'a.mkv'), 'w') as output:
        stream = output.add_stream('libx264', rate=25)
        stream.height, stream.width = 48, 64
        words = output.add_stream_from_template(subtitles.streams.subtitles[0])
        for packet in subtitles.demux():
            if packet.size:
                packet.stream = words
                output.mux(packet)
        for frame in scene(12):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24').reformat(format='yuv420p')))
        output.mux(stream.encode())
    restore_video(model, tmp_path / 'a.mkv', tmp_path / 'out.mkv')
    found = []
    for name in ('a.mkv', 'out.mkv'):
        with av.open(str(tmp_path / name)) as container:
            found.append([(bytes(p), p.pts * p.time_base) for p in container.demux(container.streams.subtitles[0])
                          if p.size])
    assert [text for text, _ in found[0]] == [text.encode() for text in texts] and found[1] == found[0]
    assert len(read(tmp_path / 'out.mkv')[0]) == 12


def test_a_film_whose_frames_are_all_broken_has_none(model, tmp_path):
    path = write(tmp_path / 'a.mkv', scene(3), codec='mpeg4', audio=False, tags=False)
    with av.open(str(path)) as container:
        packets = [(p.pos, bytes(p)) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for at, content in packets:
        start = data.find(content, at)
        data[start:start + len(content)] = bytes(len(content))
    path.write_bytes(bytes(data))
    with pytest.raises(VideoFileError, match='a.mkv has no frames that can be decoded'):
        restore_video(model, path, tmp_path / 'out.mkv')
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.mkv']


def test_a_film_and_an_image_go_to_files_of_their_kind(tmp_path, make_images):
    from restorekit.inference.batch import plan
    image, = make_images(tmp_path, ['a.png'])
    write(tmp_path / 'a.mp4', scene(2), audio=False)
    assert plan([tmp_path / 'a.mp4'], tmp_path / 'b.mkv')[0] == [(tmp_path / 'a.mp4', tmp_path / 'b.mkv')]
    for name in ('b.avi', 'b.gif', 'b.png'):
        with pytest.raises(ValueError, match='a.mp4 is a film, which is written as .mp4, .mov, .m4v, .mkv, but got'):
            plan([tmp_path / 'a.mp4'], tmp_path / name)
    with pytest.raises(ValueError, match='a.png is an image, which is written as .jpg,.* but got'):
        plan([image], tmp_path / 'b.mp4')

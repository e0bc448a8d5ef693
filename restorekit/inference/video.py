"""Restoring films with PyAV: constant memory, the other streams copied, resumable by segments."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypedDict

import cv2
import numpy as np

from restorekit.files.atomic import atomic_write_bytes
from restorekit.messages import InputError, MissingDependencyError, UserError

from .sequence import SequenceRestorer

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer
    from typing_extensions import Unpack

    from .arguments import RestoreOptions
    from .pipeline import RestorationPipeline

#: Suffix -> whether the container holds what is written here; the others become .mkv.
VIDEO_SUFFIXES = {'.mp4': True, '.mov': True, '.m4v': True, '.mkv': True, '.avi': False, '.webm': False, '.mpg': False,
                  '.mpeg': False, '.ts': False, '.mts': False, '.wmv': False, '.flv': False, '.3gp': False}
#: What a muxer writes of a stream by itself.
_OF_THE_FILE = ('encoder', 'duration', 'bps', 'number_of_frames', 'number_of_bytes', 'handler_name', 'vendor_id',
                'rotate', '_statistics_tags', '_statistics_writing_app', '_statistics_writing_date_utc')
_COLOUR = ('color_range', 'color_primaries', 'color_trc', 'colorspace')


class VideoFileError(UserError, ValueError):
    """A film cannot be read or written."""


class VideoOptions(TypedDict, total=False):
    """Options of :func:`restore_video`."""

    smooth: float
    crf: int


@dataclass
class VideoReport:
    """What was done.

    Attributes:
        frames (int): Frames restored.
        size (tuple[int, int]): Width and height as shown.
        broken (int): Packets that could not be decoded and are left out.
        resumed (int): Frames that an earlier run had restored.
    """

    frames: int = 0
    size: tuple[int, int] = (0, 0)
    broken: int = 0
    resumed: int = 0


def restore_video(pipeline: RestorationPipeline, source: str | os.PathLike, target: str | os.PathLike, *,
                  smooth: float = 1.0, crf: int = 16, segment: int = 250,
                  progress: Callable[[int, int], None] | None = None,
                  **options: Unpack[RestoreOptions]) -> VideoReport:
    """Restore a film.

    Frames keep their times; a rotation is applied; audio and subtitles are copied as they are; colour tags and 10 bits
    are kept. H.264 is written, H.265 for more than 8 bits. The film is made in segments beside the target, in a folder
    whose name begins with ``.``: a run that was cut continues with the first missing one.

    Args:
        pipeline (RestorationPipeline): The model.
        source, target (str | Path): Files.
        smooth (float): Seconds over which global changes of the restoration are smoothed; 0: frame by frame.
        crf (int): Quality, 0 (best) to 51.
        segment (int): Frames of a segment.
        progress (Callable, optional): Called as ``progress(frames done, all frames or 0)``.
        **options: ``strength`` and ``mask``, see :class:`~restorekit.inference.pipeline.RestorationPipeline`.

    Returns:
        VideoReport: Frames restored and packets left out.

    Raises:
        MissingDependencyError: If PyAV is not installed.
        VideoFileError: If it is no film, has no frames, or its streams do not fit the container.
    """
    av = _import_av()
    source, target = Path(source), Path(target)
    if not 0 <= crf <= 51:
        raise InputError(f'the quality of a film (crf) must be from 0 to 51, but got {crf}')
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = _segments_folder(source, target, pipeline, (smooth, crf, segment, sorted(map(repr, options.items()))))
    report = VideoReport()
    with _open(av, source) as container:
        stream = _video_stream(container, source)
        folder.mkdir(exist_ok=True)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        restorer = SequenceRestorer(pipeline, smooth * rate)
        frames = _frames(av, container, stream, report)
        total, number, writer = stream.frames, 0, None
        try:
            for frame in frames:
                part, at = divmod(number, segment)
                number += 1
                if (done := folder / f'{part:06d}.npz').exists():
                    if at == 0:
                        with np.load(done) as state:
                            restorer.restore_state(dict(state))
                    report.resumed += 1
                    if (folder / 'size.npy').exists():
                        width, height = np.load(folder / 'size.npy').tolist()
                        report.size = width, height
                    continue
                if writer is None:
                    writer = _SegmentWriter(av, folder, part, stream, crf)
                pixels = _pixels(frame)
                if not any(report.size):
                    report.size = pixels.shape[1], pixels.shape[0]
                writer.add(restorer.restore_pixels(pixels, name=f'{source}, frame {number}', **options), frame,
                           report.size)
                report.frames += 1
                if progress is not None:
                    progress(number, total)
                if at + 1 == segment:
                    writer.close(restorer.state())
                    writer = None
            if writer is not None:
                writer.close(restorer.state())
                writer = None
        finally:
            if writer is not None:
                writer.abandon()
    if not number:
        folder.rmdir()
        raise VideoFileError(f'{source} has no frames that can be decoded'
                             + (f' ({report.broken} broken packets)' if report.broken else ''))
    report.frames += report.resumed
    _join(av, source, target, sorted(folder.glob('*.nut')))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return report


class _SegmentWriter:
    """One segment: a file of video only, under its final name once it is whole."""

    def __init__(self, av: ModuleType, folder: Path, part: int, template: VideoStream, crf: int):
        self.av, self.folder, self.part, self.template, self.crf = av, folder, part, template, crf
        self.path = folder / f'{part:06d}.part'
        self.container = av.open(str(self.path), 'w', format='nut')  # keeps any time base exactly
        self.stream: VideoStream | None = None

    def add(self, pixels: np.ndarray, frame: VideoFrame, size: tuple[int, int]) -> None:
        if pixels.shape[1::-1] != size:  # a film has one size, that of its first frame
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        deep = pixels.dtype == np.uint16
        if self.stream is None:
            self.stream = self._stream(pixels, deep, bool(_quarters(frame) % 2))
        made = self.av.VideoFrame.from_ndarray(pixels, format='rgb48le' if deep else 'rgb24')
        matrix, full = _colour_of(frame)
        made = made.reformat(format=self.stream.pix_fmt, dst_colorspace=matrix, dst_color_range=full)
        made.pts, made.time_base = frame.pts, frame.time_base
        for packet in self.stream.encode(made):
            self.container.mux(packet)

    def _stream(self, pixels: np.ndarray, deep: bool, on_its_side: bool) -> VideoStream:
        name = 'libx265' if deep else 'libx264'
        try:
            self.av.codec.Codec(name, 'w')
        except self.av.codec.codec.UnknownCodecError as error:
            raise VideoFileError(f'this PyAV {self.av.__version__} has no encoder {name}; install the wheel of PyPI'
                                 ) from error
        source = self.template
        stream: VideoStream = self.container.add_stream(name, rate=source.average_rate or 25)
        stream.width, stream.height = pixels.shape[1], pixels.shape[0]
        even = pixels.shape[0] % 2 == 0 and pixels.shape[1] % 2 == 0
        chroma = '420' if even else '444'
        stream.pix_fmt = f'yuv{chroma}p10le' if deep else f'yuv{chroma}p'
        context = stream.codec_context
        assert source.time_base is not None  # a stream that was opened for reading has one
        context.time_base = source.time_base
        if source.sample_aspect_ratio:  # pixels that are not square
            context.sample_aspect_ratio = 1 / source.sample_aspect_ratio if on_its_side else source.sample_aspect_ratio
        for name in _COLOUR:
            setattr(context, name, getattr(source.codec_context, name))
        context.options = {'crf': str(self.crf), 'preset': 'medium', **({'x265-params': 'bframes=0:log-level=error'}
                                                                       if deep else {'bf': '0'})}
        return stream

    def close(self, state: dict[str, np.ndarray]) -> None:
        assert self.stream is not None  # made by the first frame
        for packet in self.stream.encode():
            self.container.mux(packet)
        self.container.close()
        os.replace(self.path, self.folder / f'{self.part:06d}.nut')
        np.save(self.folder / 'size.npy', np.array([self.stream.width, self.stream.height]))
        self._write_state(self.part, state)
        if self.part:
            self._write_state(self.part - 1, {})  # it is as large as a frame, and a resumed run needs the last

    def _write_state(self, part: int, state: dict[str, Any]) -> None:
        data = io.BytesIO()
        np.savez(data, **state)
        atomic_write_bytes(data.getvalue(), self.folder / f'{part:06d}.npz')

    def abandon(self) -> None:
        self.container.close()
        self.path.unlink(missing_ok=True)


def _import_av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError('films need PyAV: pip install "restorekit[video]"') from error
    av.logging.set_level(av.logging.PANIC)  # of broken packets the report says the number
    return av


def _open(av: ModuleType, source: Path) -> InputContainer:
    try:
        container: InputContainer = av.open(str(source))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoFileError(f'{source} is not a film that PyAV {av.__version__} can read ({error}); replace or remove '
                             'it') from error
    return container


def _video_stream(container: InputContainer, source: Path) -> VideoStream:
    streams = [stream for stream in container.streams.video
               if type(stream.disposition).attached_pic not in stream.disposition]  # which is a cover picture
    if not streams:
        raise VideoFileError(f'{source} has no video stream')
    streams[0].thread_type = 'AUTO'
    return streams[0]


def _frames(av: ModuleType, container: InputContainer, stream: VideoStream, report: VideoReport
            ) -> Iterator[VideoFrame]:
    """Decode, leaving out what cannot be."""
    last = None
    for packet in container.demux(stream):
        try:
            decoded = packet.decode()
        except av.error.FFmpegError:
            report.broken += 1
            continue
        for frame in decoded:
            if frame.pts is None or (last is not None and frame.pts <= last):
                continue
            last = frame.pts
            yield frame


def _pixels(frame: VideoFrame) -> np.ndarray:
    """Upright RGB, uint8 or, of more than 8 bits, uint16."""
    deep = any(component.bits > 8 for component in frame.format.components)
    matrix, full = _colour_of(frame)
    reformatted = frame.reformat(format='rgb48le' if deep else 'rgb24', src_colorspace=matrix, src_color_range=full)
    return np.ascontiguousarray(np.rot90(reformatted.to_ndarray(), _quarters(frame)))


def _quarters(frame: VideoFrame) -> int:
    """Quarter turns to the left that make a frame upright."""
    return round(frame.rotation / 90) % 4 if frame.rotation else 0


def _colour_of(frame: VideoFrame) -> tuple[str, str | None]:
    """Which matrix turns YUV to RGB, or back: that of the frame, else what players assume for its height; and 'JPEG'
    where its values take the full range."""
    known = {1: 'ITU709', 5: 'ITU601', 6: 'ITU601'}
    space = known.get(int(frame.colorspace), 'ITU709' if frame.height >= 720 else 'ITU601')
    return space, 'JPEG' if int(frame.color_range) == 2 else None


def _join(av: ModuleType, source: Path, target: Path, parts: Sequence[Path]) -> None:
    """Put the segments and the other streams of the source together, in the order of their times."""
    kind = {'.mkv': 'matroska', '.mov': 'mov'}.get(target.suffix.lower(), 'mp4')
    temporary = parts[0].with_name('joined.tmp')
    try:
        same = dict(fflags='+bitexact')  # else Matroska numbers each file by chance
        with _open(av, source) as container, av.open(str(temporary), 'w', format=kind, options=same) as output:
            shown = _video_stream(container, source)
            with av.open(str(parts[0])) as first:
                video = _like(shown, output.add_stream_from_template(first.streams.video[0]))
            if shown.average_rate:
                video.codec_context.framerate = shown.average_rate
            copied = {}
            for stream in (*container.streams.audio, *container.streams.subtitles):
                copied[stream.index] = _like(stream, output.add_stream_from_template(stream))
            output.set_chapters(container.chapters())
            output.metadata.update({key: value for key, value in container.metadata.items() if key != 'encoder'})
            others = container.demux([container.streams[index] for index in copied]) if copied else iter(())
            for packet in _interleave(_packets(av, parts), others):
                packet.stream = copied[packet.stream.index] if packet.stream.container is container else video
                output.mux(packet)
        os.replace(temporary, target)
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoFileError(f'{target} cannot hold the streams of {source} ({error}); choose .mkv') from error
    finally:
        temporary.unlink(missing_ok=True)


def _like(source: Any, stream: Any) -> Any:
    """Give a stream the language, title and role (default, forced) of its source; returns it."""
    stream.metadata.update({key: value for key, value in source.metadata.items()
                            if key.lower().split('-')[0] not in _OF_THE_FILE})
    stream.disposition = source.disposition
    return stream


def _packets(av: ModuleType, parts: Sequence[Path]) -> Iterator[Packet]:
    for part in parts:
        with av.open(str(part)) as container:
            for packet in container.demux(video=0):
                if packet.dts is not None:
                    yield packet


def _interleave(first: Iterator[Packet], second: Iterator[Packet]) -> Iterator[Packet]:
    """Merge two iterators of packets by time."""
    def time(packet: Packet) -> Fraction:
        return (packet.dts or 0) * packet.time_base
    one, two = next(first, None), _next(second)
    while one is not None or two is not None:
        if one is not None and (two is None or time(one) <= time(two)):
            yield one
            one = next(first, None)
        elif two is not None:
            yield two
            two = _next(second)


def _next(packets: Iterable[Packet]) -> Packet | None:
    return next((packet for packet in packets if packet.dts is not None), None)


def _segments_folder(source: Path, target: Path, pipeline: RestorationPipeline, settings: tuple) -> Path:
    status = source.stat()
    text = repr((source.name, status.st_size, status.st_mtime_ns, pipeline.checkpoint, pipeline.strength,
                 pipeline.protect_highlights, settings))
    return target.with_name(f'.restorekit-{hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]}')

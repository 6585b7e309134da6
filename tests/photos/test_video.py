"""Frames of video files, made here: each shows its own number in its brightness."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.photos.video import Video, find_frames

RATE = 25.0
SIZE_WH = (64, 48)


def make_video(path: Path, count: int = 20, codec: str = "mp4v") -> Path:
    """Frame i is grey of level 10 i, with a white top-left corner that tells how it is turned."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), RATE, SIZE_WH)
    assert writer.isOpened()
    for number in range(count):
        frame = np.full((SIZE_WH[1], SIZE_WH[0], 3), 10 * number, np.uint8)
        frame[:16, :16] = 255
        writer.write(frame)
    writer.release()
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "clip.mp4")


def shown(image: np.ndarray) -> int:
    """The number of the frame that an image is."""
    return round(float(image[28:36, 28:36].mean()) / 10)


def turned(path: Path, to: Path) -> Path:
    """The same MP4 with the rotation of a phone held upright in its track header (ISO 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    # Type, version and flags, five times and numbers, eight reserved bytes, four 16-bit numbers; then the matrix.
    start = content.find(b"tkhd") + 4 + 4 + 20 + 8 + 8
    quarter_turn = (0, 1 << 16, 0, -(1 << 16), 0, 0, SIZE_WH[1] << 16, 0, 1 << 30)
    content[start : start + 36] = struct.pack(">9i", *quarter_turn)
    to.write_bytes(content)
    return to


def test_frames_come_by_number(clip: Path) -> None:
    video = Video(clip)
    assert (len(video), video.announced, video.damage, video.size_wh()) == (20, 20, None, SIZE_WH)
    assert [shown(video.read(number)) for number in (0, 1, 5, 19)] == [0, 1, 5, 19]
    assert video.read(3).shape == (48, 64, 3)


@settings(max_examples=10, deadline=None)
@given(numbers=st.lists(st.integers(0, 19), min_size=1, max_size=6))
def test_frames_come_in_any_order(clip: Path, numbers: Sequence[int]) -> None:
    video = Video(clip)
    assert [shown(video.read(number)) for number in numbers] == numbers


def test_the_same_frame_again_does_not_begin_anew(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = Video(clip)
    first = video.read(7)
    monkeypatch.setattr(video, "_rewind", lambda exif: pytest.fail("decodes from the start"))
    again = video.read(7)
    assert np.array_equal(first, again) and not np.shares_memory(first, again)
    assert shown(video.read(8)) == 8


def test_after_the_end_frames_are_found_again(clip: Path) -> None:
    video = Video(clip)
    assert len(list(video.frames())) == 20
    assert shown(video.read(19)) == 19
    for _ in range(2):
        with pytest.raises(InputError, match="ends after 20 frames, wanted frame 20"):
            video.read(20)
    assert shown(video.read(19)) == 19


@pytest.mark.parametrize(
    ("name", "codec"), [("clip.avi", "MJPG"), ("clip.mkv", "mp4v"), ("clip.avi", "XVID")]
)
def test_other_formats_are_read(tmp_path: Path, name: str, codec: str) -> None:
    video = Video(make_video(tmp_path / name, 8, codec))
    assert [shown(frame) for frame in video.frames()] == list(range(8))


def test_every_frame_has_its_time(clip: Path) -> None:
    video = Video(clip)
    np.testing.assert_allclose(video.times, np.arange(20) / RATE, atol=1e-6)
    assert video.frame_rate == pytest.approx(RATE)


def test_a_variable_rate_is_that_of_the_file(tmp_path: Path) -> None:
    """The duration of frames 0 to 9 of an MP4 is halved in its table of times (stts, ISO 14496-12, 8.6.1.2)."""
    content = make_video(tmp_path / "clip.mp4").read_bytes()
    place = content.find(b"stts")
    size, entries, count, delta = (
        *struct.unpack(">I", content[place - 4 : place]),
        *struct.unpack(">3I", content[place + 8 : place + 20]),
    )
    assert (size, entries, count) == (24, 1, 20)
    table = struct.pack(">I4sI5I", size + 8, b"stts", 0, 2, 10, delta // 2, 10, delta)
    longer = bytearray(content[: place - 4] + table + content[place - 4 + size :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):  # those around the table, which grew by 8 bytes
        start = longer.find(box) - 4
        longer[start : start + 4] = struct.pack(">I", struct.unpack(">I", longer[start : start + 4])[0] + 8)
    path = tmp_path / "variable.mp4"
    path.write_bytes(longer)
    video = Video(path)
    assert len(video) == 20
    np.testing.assert_allclose(np.diff(video.times), [0.5 / RATE] * 10 + [1 / RATE] * 9, atol=1e-3)
    assert [shown(video.read(number)) for number in (2, 12, 19)] == [2, 12, 19]


def test_rotation_is_applied_or_ignored(clip: Path, tmp_path: Path) -> None:
    video = Video(turned(clip, tmp_path / "phone.mp4"))
    upright, stored = video.read(4), video.read(4, exif="ignore")
    assert (upright.shape, stored.shape) == ((64, 48, 3), (48, 64, 3))
    assert (video.size_wh(), video.size_wh("ignore")) == ((48, 64), (64, 48))
    # A quarter turn clockwise takes the stored top-left corner to the top right.
    assert stored[4, 4].mean() > 240
    assert upright[4, -5].mean() > 240
    assert upright[4, 4].mean() < 60


def test_a_video_that_is_cut_off_is_noticed(tmp_path: Path) -> None:
    path = make_video(tmp_path / "clip.avi", codec="MJPG")
    frames = path.read_bytes().split(b"00dc")
    path.write_bytes(b"00dc".join(frames[:12]) + b"00dc")
    video = Video(path)
    assert len(video) == 10
    assert video.damage is not None
    assert "its header promises 20 frames" in video.damage
    with pytest.raises(
        InputError,
        match=r"clip\.avi: ends after 10 frames, wanted frame 19.*promises 20, it is trimmed, cut off",
    ):
        video.read(19)
    with pytest.raises(InputError, match=r"clip\.avi: has no frame for image id 19"):
        find_frames([0, 19], video)


def test_a_frame_beyond_the_end_is_an_error(clip: Path) -> None:
    with pytest.raises(
        InputError, match=r"clip\.mp4: ends after 20 frames, wanted frame 20, counted from 0$"
    ):
        Video(clip).read(20)


class Undecodable:
    """A capture that grabs every frame, and has no picture for one."""

    def __init__(self, capture: cv2.VideoCapture, without: int) -> None:
        self._capture, self._left = capture, without

    def grab(self) -> bool:
        return self._capture.grab()

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        self._left -= 1
        return self._capture.retrieve() if self._left >= 0 else (False, None)

    def release(self) -> None:
        self._capture.release()


def test_a_frame_without_a_picture_is_named(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video, opened = Video(clip), Video._open
    monkeypatch.setattr(Video, "_open", lambda self, exif="apply": Undecodable(opened(self, exif), 3))
    seen = []
    with pytest.raises(InputError, match=r"clip\.mp4, frame 3: cannot be decoded; convert the video anew"):
        for image in video.frames():
            seen.append(shown(image))
    assert seen == [0, 1, 2]
    monkeypatch.setattr(Video, "_open", lambda self, exif="apply": Undecodable(opened(self, exif), 0))
    with pytest.raises(InputError, match=r"clip\.mp4, frame 5: cannot be decoded"):
        video.read(5)


def test_a_file_that_is_no_video_is_an_error(clip: Path, tmp_path: Path) -> None:
    for content in (b"", b"no video at all", clip.read_bytes()[:1000]):
        path = tmp_path / "clip.mp4"
        path.write_bytes(content)
        with pytest.raises(
            InputError, match=r"clip\.mp4: cannot be read as a video; it is cut off, damaged, or no"
        ):
            Video(path)
    with pytest.raises(InputError, match=r"expected a video file, got .*none\.mp4, which is not a file"):
        Video(tmp_path / "none.mp4")


@pytest.mark.parametrize(
    "image_id",
    [12, "12", "12.jpg", "000000000012.PNG", "clip_000000000012", "clip.mp4.0012", "a.b/frame12.jpg"],
)
def test_an_image_id_is_a_frame_number_or_ends_in_one(clip: Path, image_id: int | str) -> None:
    video = Video(clip)
    assert find_frames([image_id, image_id], video)[image_id].number == 12
    frame = find_frames([image_id], video, first_frame=1)[image_id]
    assert (frame.number, frame.path, shown(frame.read("apply"))) == (11, clip, 11)


@pytest.mark.parametrize(
    ("image_ids", "first_frame", "message"),
    [
        (["clip"], 0, "image id 'clip' does not end in a frame number"),
        (["clip.mp4"], 0, None),  # it does: 4
        (["9" * 5000], 0, "does not end in a frame number"),
        (["a_12", "b_12"], 0, "image ids 'a_12' and 'b_12' are both frame 12; give the poses of one video only"),
        ([3, 99, 100], 0, r"has no frame for image id 100 \(2 of 3 ids\); its 20 frames are 0 to 19; is this"),
        (list(range(1, 21)), 0, r"no frame for image id 20 \(1 of 20 ids\).*count frames from 1, say --first-frame 1"),
        (list(range(20)), 1, r"no frame for image id 0 \(1 of 20 ids\); its 20 frames are 1 to 20; .* leave out"),
        ([-3], 0, r"no frame for image id -3"),
    ],
)  # fmt: skip
def test_ids_that_are_no_frame_are_errors(
    clip: Path, image_ids: Sequence[int | str], first_frame: int, message: str | None
) -> None:
    video = Video(clip)
    if message is None:
        assert find_frames(image_ids, video, first_frame)
        return
    with pytest.raises(InputError, match=message):
        find_frames(image_ids, video, first_frame)


def test_ids_keep_their_order(clip: Path) -> None:
    assert list(find_frames([7, 3, 5, 3], Video(clip))) == [7, 3, 5]


def test_names_hold_the_numbers_where_a_file_has_names(clip: Path) -> None:
    frames = find_frames([101, 102, 5], Video(clip), file_names={101: "frame_00.png", 102: "a/frame_07.jpg"})
    assert [frame.number for frame in frames.values()] == [0, 7, 5]


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile clip.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        "v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    ],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.sdp"])
def test_a_list_of_videos_is_no_video(clip: Path, tmp_path: Path, text: str, name: str) -> None:
    """FFmpeg would read what the list names, be it any file of the user, or on a server."""
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=f"{name}: expected a video, got a list that names others"):
        Video(tmp_path / name)


def test_a_name_that_ffmpeg_takes_for_a_protocol_is_a_name(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "concat:a.mp4").write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(Video("concat:a.mp4")) == 20

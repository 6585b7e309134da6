"""Videos of poses before and after."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from posefix.errors import InputError
from posefix.photos.video import Video, find_frames
from posefix.pictures import video as rendering
from posefix.pictures.drawing import BAR_HEIGHT, PEOPLE
from posefix.pictures.video import check_video_path, render_before_after
from posefix.pose.poses import Poses
from posefix.skeletons import load_skeleton

SIZE_WH = (200, 150)
GREEN = (30, 140, 30)


@pytest.fixture
def video(tmp_path: Path) -> Video:
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 12.5, SIZE_WH)
    for _ in range(6):
        writer.write(np.full((SIZE_WH[1], SIZE_WH[0], 3), GREEN, np.uint8))
    writer.release()
    return Video(path)


def people(image_ids: tuple[int | str, ...]) -> Poses:
    layout = load_skeleton("coco17")
    places = np.random.default_rng(0).uniform(20, 130, (17, 2))
    keypoints = np.repeat(places[None], len(image_ids), axis=0)
    shape = keypoints.shape[:2]
    return Poses(
        keypoints, np.ones(shape), np.ones(shape, dtype=bool), image_ids, np.ones(len(image_ids)), layout
    )


def drawn(picture: np.ndarray) -> float:
    """Share of pixels that are not the video's green."""
    return float((np.abs(picture.astype(int) - GREEN[::-1]).max(axis=-1) > 60).mean())


@pytest.mark.parametrize("name", ["side.mp4", "side.webm"])
def test_all_frames_are_there_twice_with_the_poses_of_each(tmp_path: Path, video: Video, name: str) -> None:
    before = people((1, "clip_04.png"))
    after = before.with_keypoints(before.keypoints + 15.0)
    done: list[tuple[int, int]] = []
    render_before_after(
        tmp_path / name,
        video,
        find_frames(before.image_ids, video),
        (before, after),
        progress=lambda count, total: done.append((count, total)),
    )
    pictures = list(Video(tmp_path / name).frames())
    assert done == [(count, 6) for count in range(1, 7)]
    assert Video(tmp_path / name).frame_rate == pytest.approx(12.5)
    assert [picture.shape for picture in pictures] == [(150 + 2 * BAR_HEIGHT, 404, 3)] * 6
    inner = [picture[BAR_HEIGHT : BAR_HEIGHT + 150] for picture in pictures]
    shares = np.array([[drawn(picture[:, :200]), drawn(picture[:, 204:])] for picture in inner])
    with_poses = np.isin(np.arange(6), (1, 4))
    assert (shares[~with_poses] < 0.02).all()
    assert (shares[with_poses] > 0.1).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["clip.mp4", name])


def test_people_keep_a_colour_by_their_track() -> None:
    assert rendering._colours(["b", "a", "b", 3]) == [PEOPLE[0], PEOPLE[1], PEOPLE[0], PEOPLE[2]]
    assert rendering._colours(["b", "b"]) is rendering._colours(None) is None


@pytest.mark.parametrize(
    ("size_wh", "shown_wh"),
    [((200, 150), (200, 150)), ((1920, 1080), (960, 540)), ((721, 1281), (406, 720)), ((1, 1), (2, 2))],
)
def test_panels_are_of_even_size_and_show_the_whole_frame(
    size_wh: tuple[int, int], shown_wh: tuple[int, int]
) -> None:
    view = rendering._view(size_wh)
    assert view.size_wh == shown_wh
    corners = np.array([[[-0.5, -0.5], [size_wh[0] - 0.5, size_wh[1] - 0.5]]])
    np.testing.assert_allclose(view.place(corners)[0], [[-0.5, -0.5], [shown_wh[0] - 0.5, shown_wh[1] - 0.5]])


def test_other_endings_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ending in \.mp4 or \.webm, got .*side\.gif; rename the output"):
        check_video_path(tmp_path / "side.gif", tmp_path / "clip.mp4")
    with pytest.raises(InputError, match="there is no folder"):
        check_video_path(tmp_path / "none" / "side.mp4", tmp_path / "clip.mp4")


def test_the_video_itself_is_never_written(tmp_path: Path, video: Video) -> None:
    content = video.path.read_bytes()
    (tmp_path / "soft.mp4").symlink_to(video.path)
    (tmp_path / "hard.mp4").hardlink_to(video.path)
    nobody = Poses(
        np.zeros((0, 17, 2)),
        np.zeros((0, 17)),
        np.zeros((0, 17), bool),
        (),
        np.zeros(0),
        load_skeleton("coco17"),
    )
    for path in (video.path, tmp_path / "soft.mp4", tmp_path / "hard.mp4"):
        with pytest.raises(InputError, match="expected another file than those that are read"):
            render_before_after(path, video, {}, (nobody, nobody))
    assert video.path.read_bytes() == content


def test_a_render_that_fails_leaves_the_old_file(
    tmp_path: Path, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "side.mp4"
    path.write_bytes(b"the old one")
    before = people((1,))
    frames = find_frames(before.image_ids, video)

    def stop(count: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_before_after(path, video, frames, (before, before), progress=stop)
    monkeypatch.setitem(rendering.CODECS, ".mp4", "XXXX")
    with pytest.raises(InputError, match=r"side\.mp4: the OpenCV that is installed cannot write XXXX video"):
        render_before_after(path, video, frames, (before, before))
    assert path.read_bytes() == b"the old one"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_is_noticed(tmp_path: Path, video: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    before = people((1,))
    frames = find_frames(before.image_ids, video)
    monkeypatch.setattr(rendering, "_write", lambda *_: 0)
    with pytest.raises(
        InputError, match=r"side\.mp4: the video could not be written whole; is the disk full"
    ):
        render_before_after(tmp_path / "side.mp4", video, frames, (before, before))

"""Pictures: what must be seen on them."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from posefix.errors import InputError
from posefix.photos.finding import decode_image
from posefix.pictures.drawing import (
    BAR_HEIGHT,
    PICTURE_HEIGHT,
    TRAIL,
    Side,
    before_after,
    check_picture_path,
    close_up,
    draw_moves,
    draw_poses,
    side_by_side,
    write_picture,
)
from posefix.pictures.people import draw_people
from posefix.skeletons import Keypoint, Skeleton, load_skeleton

COCO = load_skeleton("coco17")
ALL = np.ones((1, 17), bool)


def photo(level: int, height: int = 300, width: int = 200) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


def pose(*, low: float = 30, high: float = 170) -> npt.NDArray[np.float64]:
    return np.random.default_rng(3).uniform(low, high, (1, 17, 2))


def luminance(colour: Any) -> float:
    linear = (np.asarray(colour, float) / 255) ** 2.2
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: Any, second: Any) -> float:
    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_keypoints_have_the_colour_of_their_side_on_any_photo(level: int) -> None:
    keypoints = np.stack([np.linspace(15, 185, 17), np.linspace(15, 285, 17)], axis=-1)[None]
    drawn = draw_poses(photo(level), keypoints, ALL, COCO)
    for index, name in enumerate(COCO.keypoint_names):
        x, y = keypoints[0, index].round().astype(int)
        expected = {"left": Side.LEFT, "right": Side.RIGHT}.get(name.split("_")[0], Side.MIDDLE)
        assert tuple(drawn[y, x]) == expected.value


@pytest.mark.parametrize("level", [0, 128, 255])
def test_something_of_every_mark_contrasts_with_the_photo(level: int) -> None:
    drawn = draw_poses(photo(level), pose(), ALL, COCO).reshape(-1, 3)
    drawn = drawn[(drawn != level).any(axis=-1)]
    assert np.mean([contrast(colour, [level] * 3) > 3 for colour in drawn]) > 0.2


@pytest.mark.parametrize(
    "loss",
    [
        # Viénot et al. 1999, linear RGB as seen by people without long-wave and without medium-wave cones.
        [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
        np.eye(3),
    ],
)
def test_sides_differ_in_every_kind_of_colour_vision(loss: Any) -> None:
    seen = [
        (np.array(colour) / 255) ** 2.2 @ np.transpose(loss) for colour in (*(s.value for s in Side), TRAIL)
    ]
    for first in range(len(seen)):
        for second in range(first):
            assert np.abs(np.clip(seen[first], 0, 1) - np.clip(seen[second], 0, 1)).max() > 0.2


def test_the_photo_is_not_changed_and_may_be_a_view() -> None:
    image = photo(50)
    assert (draw_poses(image[::-1, ::-1], pose(), ALL, COCO) != 50).any()
    assert (image == 50).all()


def test_missing_keypoints_and_their_limbs_are_not_drawn() -> None:
    nothing = draw_poses(photo(0), pose(), np.zeros((1, 17), bool), COCO)
    assert not nothing.any()


@pytest.mark.parametrize("place", [-500.0, 1e4, 1e30])
def test_keypoints_far_outside_are_legal(place: float) -> None:
    keypoints = pose()
    keypoints[0, 3] = place
    assert draw_poses(photo(0), keypoints, ALL, COCO).any()
    assert before_after(photo(0), (keypoints, ALL), (pose(), ALL), COCO).any()


def test_moves_lead_from_the_old_place_and_short_ones_are_left_out() -> None:
    old, new = pose(), pose()
    new[0, 0] = old[0, 0] + [60, 0]
    new[0, 1] = old[0, 1] + [0.5, 0]
    drawn = draw_moves(photo(0), old, new, ALL)
    middle = (old[0, 0] + [30, 0]).round().astype(int)
    assert np.abs(drawn[middle[1], middle[0]].astype(int) - TRAIL).max() < 60
    only_short = np.arange(17)[None] != 0
    assert not draw_moves(photo(0), old, new, only_short).any()


def test_a_close_up_shows_the_people_large() -> None:
    image = photo(0, 2000, 3000)
    keypoints = pose() + np.array([1000, 500])
    view = close_up(image, keypoints, ALL)
    placed = view.place(keypoints)[0]
    assert view.size_wh[1] == PICTURE_HEIGHT
    assert placed.min() > 0
    assert (placed < view.size_wh).all()
    assert np.ptp(placed[:, 1]) > 0.5 * PICTURE_HEIGHT


def test_a_close_up_without_people_is_the_photo() -> None:
    for keypoints, valid in ((pose(), ~ALL), (np.zeros((0, 17, 2)), np.zeros((0, 17), bool))):
        view = close_up(photo(0), keypoints, valid, height=150)
        assert view.size_wh == (100, 150)
        assert np.allclose(
            view.place(np.array([[[-0.5, -0.5], [199.5, 299.5]]])), [[-0.5, -0.5], [99.5, 149.5]]
        )


def test_people_outside_their_photo_do_not_matter() -> None:
    assert close_up(photo(0), pose() + 5000, ALL).size_wh == (480, PICTURE_HEIGHT)


def test_before_and_after_stand_side_by_side() -> None:
    picture = before_after(photo(90), (pose(), ALL), (pose() + 9, ALL), COCO)
    assert picture.shape[0] == PICTURE_HEIGHT + 2 * BAR_HEIGHT
    half = picture.shape[1] // 2
    assert not (picture[:, : half - 4] == TRAIL).all(axis=-1)[:PICTURE_HEIGHT].any()
    assert (picture[:, half:] == TRAIL).all(axis=-1).any()


def test_nobody_can_be_drawn() -> None:
    nobody = (np.zeros((0, 17, 2)), np.zeros((0, 17), bool))
    assert before_after(photo(90), nobody, nobody, COCO).shape[0] == PICTURE_HEIGHT + 2 * BAR_HEIGHT


def test_sides_follow_the_flip_pairs_of_any_skeleton() -> None:
    pairs = (("RightFin", "LeftFin"),)
    names = ("LeftFin", "RightFin", "tail")
    fish = Skeleton("fish", tuple(Keypoint(name, None, "") for name in names), pairs, ())
    keypoints = np.array([[[50.0, 50], [50, 150], [150, 100]]])
    drawn = draw_poses(photo(0), keypoints, np.ones((1, 3), bool), fish)
    assert [tuple(drawn[y, x]) for x, y in ((50, 50), (50, 150), (150, 100))] == [
        Side.LEFT.value,
        Side.RIGHT.value,
        Side.MIDDLE.value,
    ]


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_picture_is_written_whole(name: str, tmp_path: Path) -> None:
    picture = side_by_side([photo(10), photo(200)], ["one", "two"])
    write_picture(tmp_path / name, picture)
    assert np.abs(decode_image(tmp_path / name).astype(int) - picture).mean() < 3
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["picture", "picture.doc", "nowhere/picture.png"])
def test_a_path_that_cannot_be_written_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="picture"):
        check_picture_path(tmp_path / name)


def test_three_thousand_people_of_one_place_are_drawn_in_seconds() -> None:
    keypoints = np.repeat(pose(), 3000, axis=0)
    start = time.perf_counter()
    draw_people(photo(0), keypoints, np.ones((3000, 17), bool), COCO)
    assert time.perf_counter() - start < 10

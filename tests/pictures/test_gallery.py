"""Photos beside input and refined poses: who is chosen, who is told apart, what is refused."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from posefix.errors import InputError
from posefix.photos.finding import decode_image
from posefix.pictures import gallery
from posefix.pictures.drawing import BAR_HEIGHT, PEOPLE, TAG_SIDE, caption, draw_tag
from posefix.pictures.gallery import (
    CROWD_PANEL_WH,
    PANEL_WH,
    check_same_people,
    draw_close_ups,
    draw_photos,
    most_certain,
    most_changed,
)
from posefix.pictures.people import draw_people, people_colours
from posefix.pose.poses import ImageId, Poses
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
BODY = np.random.default_rng(5).uniform(0, 120, (17, 2))


def poses(image_ids: tuple[ImageId, ...], places: list[npt.NDArray[np.float64]]) -> Poses:
    shape = (len(image_ids), 17)
    return Poses(
        np.array(places), np.ones(shape), np.ones(shape, bool), image_ids, np.arange(shape[0]) / 9.0, COCO
    )


@pytest.fixture
def photos(tmp_path: Path) -> dict[ImageId, Path]:
    files: dict[ImageId, Path] = {}
    for number in (1, 2, 3):
        files[number] = tmp_path / f"{number}.png"
        cv2.imwrite(str(files[number]), np.full((300, 500, 3), 60 * number, np.uint8))
    return files


def test_those_who_changed_most_are_chosen_one_of_a_photo() -> None:
    before = poses((1, 1, 2, 3), [BODY + 20] * 4)
    moved = before.keypoints + np.array([5, 9, 7, 1])[:, None, None]
    after = before.with_keypoints(moved)
    assert most_changed(before, after, 5) == [1, 2, 3]
    assert most_changed(before, after, 2) == [1, 2]


def test_changes_are_measured_in_sizes_of_the_person_and_tiny_people_come_last() -> None:
    before = poses((1, 2, 3), [BODY, 2 * BODY, 0.2 * BODY])
    after = before.with_keypoints(before.keypoints + np.array([5, 7, 20])[:, None, None])
    assert most_changed(before, after, 3) == [0, 1, 2]


def test_keypoints_that_one_side_lacks_are_no_change() -> None:
    before = poses((1, 2), [BODY, BODY])
    before = replace(before, valid=np.array([[True] * 16 + [False], [True] * 17]))
    moved = before.keypoints.copy()
    moved[0, 16] += 1000
    moved[1] += 1
    assert most_changed(before, before.with_keypoints(moved), 1) == [1]


def test_without_refinement_the_most_certain_are_chosen() -> None:
    assert most_certain(poses((1, 2, 2), [BODY] * 3), 5) == [2, 0]


def test_each_photo_has_a_row_of_three_panels_and_the_first_one_has_no_poses(
    photos: dict[ImageId, Path],
) -> None:
    before = poses((1, 3), [BODY + 50, BODY + 50])
    picture = draw_photos(photos, [1, 3], before, before.with_keypoints(before.keypoints + 9))
    width, height = PANEL_WH
    assert picture.shape == (BAR_HEIGHT + 2 * (height + BAR_HEIGHT), 3 * width + 2 * 4, 3)
    first = picture[BAR_HEIGHT : BAR_HEIGHT + height, :width]
    assert set(np.unique(first[40:-40, 40:-40])) == {60}
    assert draw_photos(photos, [1], before, None).shape[1] == 2 * width + 4


def test_a_close_up_fills_the_picture_and_stays_in_the_photo(photos: dict[ImageId, Path]) -> None:
    before = poses((3,), [0.5 * BODY])  # in the corner of the photo
    picture = draw_close_ups(photos, [0], before, before)
    image = picture[BAR_HEIGHT:-BAR_HEIGHT, : PANEL_WH[0]]
    assert (image[4:-4, 4:-4] == 180).all()
    drawn = picture[BAR_HEIGHT:-BAR_HEIGHT, PANEL_WH[0] + 4 : 2 * PANEL_WH[0] + 4]
    rows = np.flatnonzero((drawn != 180).any(axis=(1, 2)))
    assert np.ptp(rows) > 0.4 * PANEL_WH[1]


def test_a_close_up_of_somebody_as_large_as_the_photo_shows_little_else(photos: dict[ImageId, Path]) -> None:
    before = poses((3,), [np.array([3.8, 2.3]) * BODY + 5])
    picture = draw_close_ups(photos, [0], before, None)
    image = picture[BAR_HEIGHT:-BAR_HEIGHT, : PANEL_WH[0]]
    # The photo has another shape than the panel, and fills it from side to side.
    assert (image == 180).all(axis=(0, 2)).sum() == 0
    assert ((image == 180).mean(axis=(0, 2)) > 0.75).mean() > 0.98


def test_a_line_says_whom_a_close_up_is_of(
    photos: dict[ImageId, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def note(text: str, width: int) -> npt.NDArray[np.uint8]:
        lines.append(text)
        return caption(text, width)

    monkeypatch.setattr(gallery, "caption", note)
    before = poses((1, 3, 1), [BODY] * 3)
    draw_close_ups(photos, [2, 1], before, before)
    draw_photos(photos, [3], before, before)
    assert lines == ["image 1, row 2: number 2", "image 3, row 1", "image 3"]


def test_other_people_are_refused_beside_the_input(photos: dict[ImageId, Path]) -> None:
    before, other = poses((1,), [BODY]), poses((2,), [BODY])
    for draw in (draw_photos, draw_close_ups):
        with pytest.raises(InputError, match="after, person 0: expected image id 1 as in before, got 2"):
            draw(photos, [], before, other)


def test_an_order_that_is_another_is_told() -> None:
    before = poses((1, 2, 3), [BODY] * 3)
    for rows, hint in (([0, 2, 1], "they are in another order, give"), ([0, 2, 2], "give")):
        words = f"after, person 1: expected image id 2 as in before, got 3; {hint} a refinement of these very poses"
        with pytest.raises(InputError, match=words):
            check_same_people(before, before[rows])


def has(picture: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=-1).any())


@pytest.mark.parametrize("level", [0, 128, 255])
def test_people_have_colours_and_numbers_of_their_own_on_any_photo(level: int) -> None:
    canvas = np.full((400, 900, 3), level, np.uint8)
    places = np.stack([BODY + np.array([40 + 280 * number, 120]) for number in range(3)])
    drawn = draw_people(canvas, places, np.ones((3, 17), bool), COCO)
    for number in range(3):
        part = drawn[:, 280 * number : 280 * (number + 1)]
        assert [has(part, colour) for colour in PEOPLE[:3]] == [number == other for other in range(3)]
    one = draw_people(canvas, places[:1], np.ones((1, 17), bool), COCO)
    assert not (one[:100] != level).any()  # nobody else is there: no number


def test_people_are_told_apart_in_every_kind_of_colour_vision() -> None:
    # Viénot et al. 1999, linear RGB as seen by people without long-wave and without medium-wave cones.
    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    for loss in (np.eye(3), protan, deutan):
        seen = np.clip((np.array(PEOPLE) / 255) ** 2.2 @ loss.T, 0, 1) ** (1 / 2.2)
        far = np.abs(seen[:, None] - seen[None]).max(axis=-1)
        assert far[~np.eye(len(PEOPLE), dtype=bool)].min() > 0.1


@pytest.mark.parametrize("count", [7, 20, 60])
def test_in_crowds_no_colour_comes_twice_and_neighbours_in_number_differ_much(count: int) -> None:
    colours = np.array(people_colours(count)) / 255
    assert len({tuple(colour) for colour in colours.tolist()}) == count
    assert np.abs(np.diff(colours, axis=0)).max(axis=1).min() > 0.25
    assert people_colours(count)[:7] == people_colours(count + 1)[:7]


def test_in_crowds_every_number_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[npt.NDArray[np.float64]] = []
    monkeypatch.setattr("posefix.pictures.people.draw_tag", lambda *tag: places.append(tag[2]))
    canvas = np.zeros((720, 960, 3), np.uint8)
    crowd = np.stack([BODY + np.array([300 + 14.0 * number, 200 + 5 * (number % 3)]) for number in range(20)])
    draw_people(canvas, crowd, np.ones((20, 17), bool), COCO)
    apart = np.abs(np.array(places)[:, None] - np.array(places)[None])
    covered = (apart < TAG_SIDE).all(axis=-1) & ~np.eye(20, dtype=bool)
    assert (len(places), covered.sum()) == (20, 0)
    assert (np.array(places) >= TAG_SIDE).all() and (
        np.array(places) <= np.array([960, 720]) - TAG_SIDE
    ).all()


def test_photos_of_crowds_are_larger(tmp_path: Path) -> None:
    photo = tmp_path / "crowd.png"
    cv2.imwrite(str(photo), np.full((480, 640, 3), 90, np.uint8))
    few, many = (
        poses((1,) * count, [BODY + np.array([20.0 * number, 60]) for number in range(count)])
        for count in (6, 7)
    )
    assert draw_photos({1: photo}, [1], few, None).shape[1] == 2 * PANEL_WH[0] + 4
    assert draw_photos({1: photo}, [1], many, None).shape[1] == 2 * CROWD_PANEL_WH[0] + 4


def test_a_tag_stays_on_the_canvas() -> None:
    for place in ([-50.0, -50.0], [500.0, 500.0]):
        canvas = np.zeros((60, 60, 3), np.uint8)
        draw_tag(canvas, "12", np.array(place), PEOPLE[2])
        assert (canvas == PEOPLE[2]).all(axis=-1).sum() > 100


def test_real_photos_can_be_drawn(shared_data: Path) -> None:
    photo = next(iter(sorted((shared_data / "coco" / "images").glob("*.jpg"))))
    before = poses((1,), [BODY + 60])
    assert draw_photos({1: photo}, [1], before, before).any()
    assert decode_image(photo).ndim == 3

"""Files that people put together of what programs write: read for what they say, or refused with what to do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.recorded import recorded

from posefix.errors import InputError
from posefix.interchange import read_pose_file
from posefix.interchange.pose_files import PoseFile
from posefix.pose.poses import Poses
from posefix.skeletons import load_skeleton

NAMES = load_skeleton("coco17").keypoint_names
PLACES = np.array([[100.5 + 7 * number, 200.25 - 3 * number] for number in range(17)])
POINTS = PLACES.tolist()
FLAT = [number for x, y in POINTS for number in (x, y, 0.5)]


def result(image_id: Any, **fields: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": 1, "keypoints": FLAT, "score": 0.9, **fields}


def instance(**fields: Any) -> dict[str, Any]:
    return {"keypoints": POINTS, "keypoint_scores": [0.5] * 17, **fields}


def detection(**fields: Any) -> dict[str, Any]:
    x, y = PLACES.T.tolist()
    box = {"x1": 90.0, "y1": 140.0, "x2": 230.0, "y2": 210.0}
    return {"name": "person", "box": box, "keypoints": {"x": x, "y": y, "visible": [0.5] * 17}, **fields}


def filled_in(poses: Poses, row: int, keypoint: int) -> Poses:
    """The same poses with a keypoint more, at 33.5, 44.25."""
    places, scores, valid = poses.keypoints.copy(), poses.scores.copy(), poses.valid.copy()
    places[row, keypoint], scores[row, keypoint], valid[row, keypoint] = (33.5, 44.25), 0.75, True
    return replace(poses, keypoints=places, scores=scores, valid=valid)


def rewritten(folder: Path, file: PoseFile, poses: Poses, **hints: Any) -> PoseFile:
    """A file with other poses, written and read again."""
    path = folder / f"new{file.path.suffix}"
    path.write_bytes(file.rewrite(poses)[""])
    return read_pose_file(path, **hints)


def refusal(path: Path, **hints: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_pose_file(path, **hints)
    return str(caught.value)


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (instance, "frame_id"),
        (instance, "img_name"),
        (instance, "image_path"),
        (detection, "frame"),
        (detection, "image"),
    ],
)
def test_people_who_name_several_photos_are_not_taken_for_those_of_one(
    tmp_path: Path, record: Any, field: str
) -> None:
    rows = [record(**{field: "p0"}), record(**{field: "p0"}), record(**{field: "p1"})]
    message = refusal(recorded(tmp_path / "all.json", rows), layout="coco17")
    assert (
        f" 2, field '{field}': expected people of one photo, 'all', got 'p1' and 'p0' in one list" in message
    )
    same = recorded(tmp_path / "p0.json", rows[:2])
    assert read_pose_file(same, "coco17").poses.image_ids == ("p0", "p0")


def test_results_with_scores_apart_keep_their_photos(tmp_path: Path) -> None:
    rows = [result(1, keypoints=POINTS, keypoint_scores=[0.5] * 17), result(2)]
    message = refusal(recorded(tmp_path / "a.json", rows), layout="coco17")
    assert "row 0, field 'keypoints', nose: expected x, y and score, got [100.5, 200.25]" in message
    rows[0] = result(1, keypoints=[[x, y, 0.5] for x, y in POINTS], keypoint_scores=[0.5] * 17)
    assert read_pose_file(recorded(tmp_path / "b.json", rows), "coco17").poses.image_ids == (1, 2)


def minus_ones(keypoint: int) -> list[float]:
    numbers = FLAT.copy()
    numbers[3 * keypoint : 3 * keypoint + 3] = [-1, -1, -1]
    return numbers


def test_minus_one_throughout_is_missing(tmp_path: Path) -> None:
    contents: dict[str, Any] = {
        "coco.json": [result(1, keypoints=minus_ones(4))],
        "mmpose.json": [
            instance(
                keypoints=[*POINTS[:4], [-1, -1], *POINTS[5:]],
                keypoint_scores=[*[0.5] * 4, -1, *[0.5] * 12],
            )
        ],
        "people.json": {"people": [{"pose_keypoints_2d": minus_ones(4)}]},
    }
    for name, content in contents.items():
        path = recorded(tmp_path / name, content)
        file = read_pose_file(path, "coco17")
        assert np.flatnonzero(~file.poses.valid[0]).tolist() == [4]
        assert file.rewrite(file.poses)[""] == path.read_bytes()  # -1 stays
        again = rewritten(tmp_path, file, filled_in(file.poses, 0, 4), layout="coco17")
        assert (again.poses.keypoints[0, 4].tolist(), again.poses.valid.all()) == ([33.5, 44.25], True)


def test_scores_below_zero_elsewhere_are_scores(tmp_path: Path) -> None:
    numbers = [-1, -0.5, -1, -1, -1, 0.5, *FLAT[6:]]
    file = read_pose_file(recorded(tmp_path / "a.json", [result(1, keypoints=numbers)]), "coco17")
    assert file.poses.valid.all()


def test_a_score_of_null_is_none(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.json", [result(1, score=None), result(2, score=None)])
    file = read_pose_file(path, "coco17")
    assert file.poses.pose_scores.tolist() == [1, 1]
    assert file.rewrite(file.poses)[""] == path.read_bytes()
    some = recorded(tmp_path / "b.json", [result(1, score=None), result(2)])
    assert "row 0, field 'score'" in refusal(some, layout="coco17")

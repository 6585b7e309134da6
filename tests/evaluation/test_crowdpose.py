"""CrowdPose's AP: the numbers of crowdposetools and xtcocotools, which agree, for the same people and poses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.evaluation.scenes import CROWDPOSE_NAMES, Json, crowdpose_scene, made_poses, write

from posefix.errors import InputError
from posefix.evaluation import evaluate_coco
from posefix.evaluation.crowdpose import CROWDS, evaluate_crowdpose
from posefix.evaluation.judge import Judge
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_annotated_poses
from posefix.pose.poses import Poses

Run = Callable[..., tuple[int, str, str]]

# AP, AP50, AP75, AR, AR50, AR75; easy, medium and hard, of which both print four decimals.
MADE = [
    0.553342903965021, 0.8316831683168316, 0.4637705357460094, 0.6528846153846154, 0.8365384615384616,
    0.5961538461538461, 0.638, 0.5692, 0.5495,
]  # fmt: skip
VAL = [
    0.5076979484640498, 0.7880017862550607, 0.42143721272848966, 0.6602770709640939, 0.8426632739609838,
    0.6150692677410234, 0.4789, 0.5117, 0.5188,
]  # fmt: skip


def read(tmp_path: Path, truth: Json, rows: list[Json]) -> tuple[Poses, Annotations]:
    annotations = read_annotations(write(tmp_path / "truth.json", truth))
    return read_annotated_poses(write(tmp_path / "rows.json", rows), annotations, "crowdpose14"), annotations


def check(poses: Poses, annotations: Annotations, expected: list[float]) -> None:
    values = list(evaluate_crowdpose(poses, annotations).as_dict().values())
    assert values[:6] == pytest.approx(expected[:6], abs=1e-15)
    assert [round(value, 4) for value in values[6:]] == expected[6:]


def test_the_numbers_are_the_peers(tmp_path: Path) -> None:
    check(*read(tmp_path, *crowdpose_scene()), MADE)


def test_areas_of_the_annotations_play_no_part(tmp_path: Path) -> None:
    truth, rows = crowdpose_scene()
    for person in truth["annotations"]:
        person["area"] = 100.0
    check(*read(tmp_path, truth, rows), MADE)


def test_the_numbers_of_the_real_annotations_are_the_peers(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "crowdpose" / "crowdpose_val.json"
    annotations = read_annotations(path)
    rows = made_poses(json.loads(path.read_text())["annotations"])
    poses = read_annotated_poses(write(tmp_path / "rows.json", rows), annotations, "crowdpose14")
    check(poses, annotations, VAL)


def test_people_whose_number_of_keypoints_is_0_do_not_count(tmp_path: Path) -> None:
    truth, rows = crowdpose_scene()
    poses, annotations = read(tmp_path, truth, rows)
    assert evaluate_coco(poses, annotations).ap == pytest.approx(MADE[0], abs=1e-15)
    for person in truth["annotations"]:
        del person["num_keypoints"]
    poses, annotations = read(tmp_path, truth, rows)
    assert abs(evaluate_coco(poses, annotations).ap - MADE[0]) > 0.005


def test_a_crowd_index_chooses_crowdpose(tmp_path: Path, run: Run) -> None:
    truth, rows = crowdpose_scene()
    paths = write(tmp_path / "truth.json", truth), write(tmp_path / "rows.json", rows)
    options = ("--layout", "crowdpose14", "--annotations", paths[0])
    code, out, _ = run("evaluate", paths[1], *options)
    assert "people with num_keypoints 0, who do not count whatever is labelled: " in out.splitlines()[0]
    assert (code, out.splitlines()[2].split()) == (
        0, ["55.3", "83.2", "46.4", "65.3", "83.7", "59.6", "63.8", "56.9", "54.9"],
    )  # fmt: skip
    code, out, _ = run("evaluate", paths[1], *options, "--against", paths[1])
    assert out.splitlines()[6].split() == ["difference", *["+0.0"] * 9]
    assert Judge.read(paths[0], "coco").metric == "coco"
    del truth["images"][4]["crowdIndex"]
    assert Judge.read(write(paths[0], truth)).metric == "coco"
    code, out, err = run("evaluate", paths[1], *options, "--metric", "crowdpose")
    assert (code, len(out.splitlines())) == (2, 1)
    assert "image 5, field 'crowdIndex': expected a number, got none, and CrowdPose's AP is told apart" in err


def test_a_group_without_photos_has_no_number(tmp_path: Path) -> None:
    truth, rows = crowdpose_scene()
    for image in truth["images"]:
        image["crowdIndex"] = 0.1
    metrics = evaluate_crowdpose(*read(tmp_path, truth, rows))
    easy, medium, hard = (metrics.as_dict()[name] for name in CROWDS)
    assert easy == pytest.approx(metrics.as_dict()["AP"])
    assert (medium, hard) == (-1, -1)
    assert metrics.table().splitlines()[1].split()[-2:] == ["-", "-"]


def test_a_crowd_index_that_is_no_number_is_a_fault(tmp_path: Path) -> None:
    truth, rows = crowdpose_scene()
    truth["images"][4]["crowdIndex"] = "high"
    with pytest.raises(InputError, match="image 4, field 'crowdIndex': expected a finite number"):
        read(tmp_path, truth, rows)


def test_results_of_more_photos_than_are_annotated(tmp_path: Path, run: Run) -> None:
    truth, rows = crowdpose_scene()
    further = [{**rows[0], "image_id": number} for number in (801, 802, 802)]
    paths = write(tmp_path / "truth.json", truth), write(tmp_path / "rows.json", [*rows, *further])
    options = ("--layout", "crowdpose14", "--annotations", paths[0])
    code, out, err = run("evaluate", paths[1], *options)
    assert (code, len(out.splitlines())) == (2, 1)
    assert "801 is not among the images of" in err
    assert "posefix evaluate --subset" in err
    code, out, _ = run("evaluate", paths[1], *options, "--subset")
    assert (code, out.splitlines()[2].split()[0]) == (0, "55.3")
    assert "left out: 3 poses in 2 photos that the annotations do not know (801, 802)" in out
    other = write(tmp_path / "other.json", [*rows, further[0]])
    line = "left out: 3 poses in 2 photos that the annotations do not know (801, 802)"
    short = "left out: 1 pose in 1 photo that the annotations do not know (801)"
    told = {
        (paths[1], other): [f"before: {short}", f"after: {line}"],
        (other, paths[1]): [f"before: {line}", f"after: {short}"],
        (other, other): [short],
    }
    for (results, against), lines in told.items():
        _, out, _ = run("evaluate", results, "--against", against, *options, "--subset")
        assert [found for found in out.splitlines() if "left out: " in found] == lines


def test_results_on_other_keypoints_are_not_compared(tmp_path: Path, run: Run) -> None:
    truth, rows = crowdpose_scene()
    legs = write(tmp_path / "legs.json", {"name": "legs", "keypoints": CROWDPOSE_NAMES[6:12]})
    of_legs = [{**row, "keypoints": row["keypoints"][18:36]} for row in rows]
    paths = [write(tmp_path / f"{number}.json", each) for number, each in enumerate((truth, rows, of_legs))]
    options = ("--layout", "crowdpose14", "--annotations", paths[0], "--against-layout", legs)
    code, out, err = run("evaluate", paths[1], "--against", paths[2], *options)
    assert code == 2
    assert "AP50" not in out
    assert "Before and after must share the same keypoints with" in err

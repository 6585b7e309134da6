"""The whole analysis: real files, bad input, what is shown and kept."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.analysis import analyze
from posefix.errors import InputError
from posefix.evaluation import collapsed_pairs, evaluate_coco
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_pose_file
from posefix.pose.poses import Poses
from posefix.pose_errors.taxonomy import Status
from posefix.skeletons import load_skeleton

Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]
Scene = tuple[Annotations, Poses]
ESTIMATORS = (
    "blazepose.blazepose33",
    "efficientpose-rt.efficientpose16",
    "hourglass.hourglass14",
    "movenet.coco17",
    "posenet.coco17",
    "tfpose.openpose18",
    "tinypose128.coco17",
    "ultralight.coco17",
)
TRUTH = {"coco_dev": "coco/person_keypoints_dev.json", "lspet_val": "lspet/person_keypoints_val.json"}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("folder", TRUTH)
def test_real_estimators_have_the_ap_of_the_evaluator(shared_data: Path, folder: str, name: str) -> None:
    truth = read_annotations(shared_data / TRUTH[folder])
    path = shared_data / "predictions" / folder / f"{name}.json"
    poses = read_pose_file(path, load_skeleton(name.split(".")[1])).poses
    analysis = analyze(poses, truth)
    assert analysis.costs.input.ap == pytest.approx(evaluate_coco(poses, truth).ap, abs=1e-12)
    assert analysis.pairing.num_poses == len(poses)
    assert analysis.collapsed == collapsed_pairs(poses)
    assert analysis.costs.stages[-1].ap == pytest.approx(1.0)
    gains = [stage.ap - analysis.costs.input.ap for stage in analysis.costs.alone]
    assert min(gains) >= -1e-9


@pytest.mark.parametrize(
    ("path", "layout"),
    [("mpii/person_keypoints_valid.json", "mpii16"), ("crowdpose/crowdpose_val.json", "crowdpose14")],
)
def test_files_of_other_layouts_are_analysed(shared_data: Path, find: Find, path: str, layout: str) -> None:
    truth = read_annotations(shared_data / path)
    rows = np.flatnonzero(truth.people.counted())[:300]
    scores = tuple(np.linspace(1, 0.1, len(rows)).tolist())
    image_ids = tuple(truth.people.image_ids[row] for row in rows)
    poses = find(truth.people.keypoints[rows], image_ids, load_skeleton(layout), scores)
    analysis = analyze(poses, truth)
    assert analysis.coverage.area_is_estimated == (layout == "crowdpose14")
    assert analysis.overall.frequencies[0, Status.GOOD] > 0.999
    assert len(analysis.pairing) == 300


def test_a_wrong_layout_shows_as_keypoints_that_everybody_misses(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    keypoints = np.repeat(line[None], 20, axis=0)
    wrong = keypoints.copy()
    wrong[:, 9] = 9000
    ids = tuple(range(20))
    assert (
        "missed in everybody: left_wrist; is the layout right"
        in analyze(find(wrong, ids), annotate(keypoints, ids)).table()
    )
    assert "missed in everybody" not in analyze(find(wrong[:19], ids[:19]), annotate(keypoints, ids)).table()


def test_missing_keypoints_are_counted(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    poses = find(line[None], (1,))
    valid = poses.valid.copy()
    valid[0, :2] = False
    analysis = analyze(poses.with_keypoints(poses.keypoints, valid), annotate(line[None], (1,)))
    assert "2 labelled keypoints the poses lack; each counts as a miss" in analysis.lines()
    assert analysis.as_dict()["missing_keypoints"] == 2


def test_poses_in_unknown_photos_are_left_out_and_named(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    truth = annotate(np.stack([line, line]), (1, 2), more_images=(3,))
    poses = find(np.stack([line, line, line]), (9, 1, 9))
    analysis = analyze(poses, truth)
    assert analysis.coverage.unknown_images == (9,)
    assert analysis.coverage.empty_images == (2,)
    assert analysis.found.poses.tolist() == analysis.pairing.poses.tolist() == [1]
    text = analysis.table()
    assert "left out: 2 poses in 1 photo that the annotations do not know (9)" in text
    assert "without any pose: 1 photo with annotated people, who count as not found (2)" in text
    with pytest.raises(InputError, match=r"truth\.json does not know 1 photo \(9\)"):
        analyze(poses, truth, strict=True)
    with pytest.raises(InputError, match=r"the results hold no pose for 1 photo with annotated people \(2\)"):
        analyze(poses[[1]], truth, strict=True)
    assert len(analyze(poses[[1]], annotate(line[None], (1,), more_images=(3,)), strict=True).found) == 1


def test_photos_of_people_whom_nobody_can_find_need_no_pose(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    visibility = np.full((3, line.shape[0]), 2, np.int8)
    visibility[1] = 0
    truth = annotate(np.stack([line] * 3), (1, 2, 3), visibility=visibility, is_crowd=(2,))
    assert analyze(find(line[None], (1,)), truth, strict=True).coverage.empty_images == ()


def test_photos_of_people_labelled_on_what_is_not_compared_need_no_pose(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    visibility = np.full((2, 17), 2, np.int8)
    visibility[1, 5:] = 0  # a face, which the results' layout does not have
    truth = annotate(np.stack([line] * 2), (1, 2), visibility=visibility)
    body = load_skeleton("coco17").subset(load_skeleton("coco17").keypoint_names[5:])
    poses = find(line[None, 5:], (1,), body)
    analysis = analyze(poses, truth, strict=True)
    assert analysis.coverage.empty_images == ()
    assert "without any pose" not in analysis.table()
    with pytest.raises(InputError, match=r"no pose for 1 photo with annotated people \(2\)"):
        analyze(find(line[None], (1,)), truth, strict=True)


@pytest.mark.parametrize(
    ("places", "image_ids", "message"),
    [
        (np.zeros((0, 17, 2)), (), "The results hold no poses"),
        (np.zeros((1, 17, 2)), ("a",), r"no photo of theirs \(a\) is among those of truth.json \(1\)"),
        (
            np.full((1, 17, 2), 9e5),
            (1,),
            r"none of 1 pose comes near an annotated person \(OKS of 0.1 or more\)",
        ),
    ],
)
def test_results_that_match_nobody_are_refused(
    annotate: Annotate,
    find: Find,
    line: np.ndarray,
    places: np.ndarray,
    image_ids: tuple[int | str, ...],
    message: str,
) -> None:
    with pytest.raises(InputError, match=message):
        analyze(find(places, image_ids), annotate(line[None], (1,)))


def test_layouts_that_share_nothing_are_refused(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    coco, lsp = load_skeleton("coco17"), load_skeleton("lsp14")
    faces, limbs = coco.subset(["nose", "left_ear"]), lsp.subset(["left_knee"])
    with pytest.raises(InputError, match="share no keypoint"):
        analyze(find(line[None, :1], (1,), limbs), annotate(line[None, :2], (1,), faces))


def test_people_without_labels_are_refused(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    truth = annotate(line[None], (1,), visibility=np.zeros((1, 17), np.int8))
    with pytest.raises(InputError, match=r"expected people with a labelled keypoint of .*, got none"):
        analyze(find(line[None], (1,)), truth)
    truth = annotate(line[None], (1,), area=np.zeros(1))
    with pytest.raises(InputError, match="expected people with an area above 0, got none"):
        analyze(find(line[None], (1,)), truth)


def test_annotations_without_areas_are_explained(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    truth = annotate(line[None], (1,))
    truth = replace(truth, people=replace(truth.people, area_is_estimated=True))
    assert ".53 x box area" in analyze(find(line[None], (1,)), truth).table()


def test_everything_is_kept_as_json(random_scene: Callable[[int], Scene]) -> None:
    truth, poses = random_scene(2)
    analysis = analyze(poses, truth)
    kept = json.loads(json.dumps(analysis.as_dict(), allow_nan=False))
    assert kept["poses"] == 20
    assert kept["found"] == len(kept["found_people"]) == len(analysis.pairing)
    assert [item["name"] for item in kept["breakdowns"]][:4] == [
        "all",
        "keypoint group",
        "keypoint",
        "visibility",
    ]
    first = kept["found_people"][0]
    assert set(first) == {"image_id", "annotation_id", "row", "score", "oks", "statuses"}
    assert first["statuses"].count(None) == (~analysis.found.labelled[0]).sum()
    assert kept["coverage"]["keypoints"] == list(truth.skeleton.keypoint_names)


def test_notebooks_show_tables_and_escape_names(random_scene: Callable[[int], Scene]) -> None:
    truth, poses = random_scene(2)
    analysis = analyze(poses, truth)
    shown = analysis._repr_html_()
    assert shown.count("<table>") == shown.count("</table>") >= 5
    assert "<th>left_wrist</th>" in shown
    named = replace(analysis, coverage=replace(analysis.coverage, only_results=("<b>",)))
    assert "<b>" not in named._repr_html_()
    assert repr(analysis) == f"ErrorAnalysis({analysis})"
    assert str(analysis).startswith(f"{len(analysis.pairing)} people found, good ")


def test_a_data_frame_has_a_row_per_labelled_keypoint(random_scene: Callable[[int], Scene]) -> None:
    pandas = pytest.importorskip("pandas")
    truth, poses = random_scene(2)
    analysis = analyze(poses, truth)
    frame = analysis.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == analysis.found.labelled.sum()
    counts = frame["status"].value_counts()
    assert counts["good"] == analysis.overall.counts[0, Status.GOOD]


def test_without_pandas_the_message_says_so(
    random_scene: Callable[[int], Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_pandas(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *arguments, **options)

    truth, poses = random_scene(2)
    analysis = analyze(poses, truth)
    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(InputError, match="`pip install pandas`"):
        analysis.to_pandas()

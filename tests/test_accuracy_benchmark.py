"""The measuring of accuracy, with a refiner whose doings are known."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from benchmarks import accuracy, environment
from benchmarks.accuracy import (
    PARTS,
    Trial,
    drop_keypoints,
    first_images,
    from_rows,
    measure,
    movement,
    shrink_errors,
    summarize,
)

from posefix import Poses, Refiner, load_skeleton, read_annotations
from posefix.network.decoding import Evidence
from posefix.refine.backends import Backend, identity_backend
from posefix.skeletons import Skeleton

COCO = load_skeleton("coco17")


@dataclass(frozen=True)
class Shifter:
    """Stands for a refiner: shifts all keypoints by so many pixels to the right, twice as many without its rule."""

    pixels: float
    caution: float = 0.0
    skeleton: Skeleton = COCO
    trust: float | None = 0.0
    backend: Backend = identity_backend
    calibration: None = None

    def refine(self, poses: Poses, _: Path) -> Any:
        offset = np.array([self.pixels * (2 if self.caution < 0 else 1), 0])
        after = poses.with_keypoints(poses.keypoints + offset, np.ones_like(poses.valid))
        return SimpleNamespace(
            poses=after,
            confidence=np.full(poses.valid.shape, 0.8),
            expected_oks=np.full(len(poses), 0.7),
            report=SimpleNamespace(refined=len(poses), trust=self.trust),
        )


def shifter(pixels: float) -> Refiner:
    return cast(Refiner, Shifter(pixels))


def truth_rows(count: int) -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    rows = []
    for number in range(count):
        places = generator.uniform(10, 200, (17, 2)).round(1)
        triples = np.column_stack([places, np.full(17, 2)]).ravel().tolist()
        row = {"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "keypoints": triples}
        rows.append({**row, "bbox": [0, 0, 220, 220], "area": 20_000.0, "score": 0.9})
    return rows


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Annotations of five photos with one person each, and of these people poses that lie 20 pixels to the left."""
    rows = truth_rows(5)
    images = [{"id": number, "file_name": f"{number:012d}.jpg"} for number in range(5)]
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO.keypoint_names)}]
    found = [
        {**row, "keypoints": [value - 20 * (place % 3 == 0) for place, value in enumerate(row["keypoints"])]}
        for row in rows
    ]
    # The everyday photos lie elsewhere.
    monkeypatch.setitem(accuracy.SETS, "everyday_dev", (accuracy.SETS["everyday_dev"][0], "everyday/coco"))
    for name in accuracy.SETS:
        annotations = tmp_path / accuracy.SETS[name][0]
        annotations.parent.mkdir(parents=True)
        photos = tmp_path / accuracy.SETS[name][1]
        photos.mkdir(parents=True)
        for image in images:
            (photos / str(image["file_name"])).touch()
        content = {"images": images, "annotations": rows, "categories": categories}
        annotations.write_text(json.dumps(content), encoding="utf-8")
        (tmp_path / "predictions" / name).mkdir(parents=True)
        (tmp_path / "predictions" / name / "left.coco17.json").write_text(json.dumps(found), encoding="utf-8")
    return tmp_path


@pytest.fixture
def trial(data: Path) -> Trial:
    annotations = read_annotations(data / accuracy.SETS["everyday_dev"][0])
    before = accuracy.read_poses(data / "predictions" / "everyday_dev" / "left.coco17.json", annotations)
    return Trial(before, annotations, data / accuracy.SETS["everyday_dev"][1], shifter(20.0), shifter(15.0))


def test_everything_is_measured_under_its_name(trial: Trial) -> None:
    numbers = measure(trial, PARTS)
    assert set(PARTS) < set(numbers)
    assert numbers["comparison"]["after"]["AP"] == pytest.approx(1)
    assert numbers["comparison"]["before"]["AP"] < numbers["control"]["AP"] < 1
    assert numbers["scores"]["model"]["AP"] == pytest.approx(1)
    # Both lie 20 pixels too far to the right.
    assert numbers["second_pass"]["metrics"]["AP"] == numbers["rule_off"]["metrics"]["AP"]
    assert numbers["missing"]["before"]["AP"] < numbers["missing"]["after"]["AP"]
    assert numbers["photo_by_photo"]["AP"] == pytest.approx(1)  # nothing is judged together here
    assert numbers["better_input_by_photo"] == numbers["better_input"]["after"]
    better, after = (numbers["better_input"][when]["AP"] for when in ("before", "after"))
    assert numbers["comparison"]["before"]["AP"] < better > after, "right poses are shifted, too"
    assert numbers["repairs"]["broken"] == 0 < numbers["repairs"]["repaired"]
    assert (
        numbers["changes"]["people"] == 5 >= numbers["changes"]["better"] > numbers["changes"]["worse"] == 0
    )
    assert numbers["collapsed"] == {"before": 0, "after": 0}
    assert numbers["confidence"]["brier"] == pytest.approx(0.04)  # all are right, at a confidence of .8
    assert numbers["confidence"]["oks_error"] == pytest.approx(0.3)
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers


@pytest.mark.parametrize(("trust", "usual"), [(0.0, "model"), (1.0, "product")])
def test_the_usual_scores_depend_on_the_estimator(
    trust: float, usual: str, trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here the kinds of scores bring other places, which tell them apart.
    monkeypatch.setattr(
        accuracy, "rescore", lambda poses, _, __, kind: poses if kind == "model" else trial.before
    )
    trusting = replace(trial, refiner=cast(Refiner, Shifter(20.0, trust=trust)))
    numbers = measure(trusting, ["scores"])["scores"]
    assert numbers["usual"] == numbers[usual]
    assert numbers["model"] != numbers["product"]


def test_without_a_calibration_the_estimator_s_scores_are_usual(trial: Trial) -> None:
    blind = replace(trial, refiner=cast(Refiner, Shifter(20.0, trust=None)))
    numbers = measure(blind, ["scores"])
    assert numbers["scores"]["usual"] == numbers["comparison"]["after"]


def test_only_what_is_asked_for_is_measured(trial: Trial) -> None:
    assert set(measure(trial, ["repairs"])) == {"people", "comparison", "repairs"}


def test_the_control_sees_no_pose_and_takes_the_network_s_places() -> None:
    shown: list[float] = []

    def to_the_corner(images: Any, keypoints: Any, weights: Any) -> Evidence:
        shown.extend(weights.ravel())
        return identity_backend(images, np.full_like(keypoints, 10.0), weights)

    refiner = Refiner(to_the_corner, COCO, (64, 64))
    person = np.random.default_rng(0).uniform(40, 80, (1, 17, 2))
    photo = np.zeros((120, 120, 3), dtype=np.uint8)
    found = accuracy.photo_alone(refiner)(photo, person, skeleton="coco17")
    assert len(shown) > 0 and not any(shown)
    # Everything lies in one corner of the crop, where it came from does not matter.
    assert np.ptp(found.keypoints, axis=1).max() < 1e-6 < np.abs(found.keypoints - person).max()


def test_poses_go_through_a_file_without_further_fields(trial: Trial) -> None:
    again = from_rows(trial.before)
    assert again.image_ids == trial.before.image_ids
    np.testing.assert_allclose(again.keypoints, trial.before.keypoints, atol=5e-4)
    np.testing.assert_allclose(again.pose_scores, trial.before.pose_scores)


def test_movement_is_relative_to_the_box(trial: Trial) -> None:
    first = trial.before[:1]
    size = np.sqrt(np.ptp(first.keypoints[0], axis=0).prod())
    second = first.with_keypoints(first.keypoints + np.array([3.0, 4.0]))
    assert movement(first, second, np.arange(17)) == pytest.approx(5 / size)
    half = second.with_keypoints(np.where(np.arange(17)[:, None] < 4, second.keypoints, first.keypoints))
    assert movement(first, half, np.arange(8)) == pytest.approx(2.5 / size)
    missing = second.with_keypoints(second.keypoints, np.zeros_like(second.valid))
    assert movement(first, missing, np.arange(17)) == 0


def test_dropped_keypoints_are_missing_in_every_way(trial: Trial) -> None:
    poses = trial.before
    sparse = drop_keypoints(poses, 0.5, seed=3)
    assert 0.2 < sparse.valid.mean() < 0.8
    assert not sparse.keypoints[~sparse.valid].any()
    assert not sparse.scores[~sparse.valid].any()
    np.testing.assert_array_equal(sparse.keypoints[sparse.valid], poses.keypoints[sparse.valid])
    np.testing.assert_array_equal(sparse.valid, drop_keypoints(poses, 0.5, seed=3).valid)
    assert (drop_keypoints(poses, 0.5, seed=4).valid != sparse.valid).any()


def test_errors_shrink_towards_the_truth(trial: Trial) -> None:
    truth = trial.annotations.people.keypoints
    better = shrink_errors(trial.before, trial.annotations, 0.25)
    np.testing.assert_allclose(better.keypoints - truth, 0.25 * (trial.before.keypoints - truth), atol=1e-9)
    unlabelled = replace(trial.annotations, people=trial.annotations.people)
    unlabelled.people.visibility[:, 3] = 0
    kept = shrink_errors(trial.before, unlabelled, 0.25)
    np.testing.assert_array_equal(kept.keypoints[:, 3], trial.before.keypoints[:, 3])


def test_the_first_images_bring_their_people(data: Path) -> None:
    part = first_images(data / accuracy.SETS["everyday_dev"][0], 2)
    assert (list(part.images), part.people.image_ids) == ([0, 1], (0, 1))


def test_wins_and_losses_are_counted() -> None:
    gains = [(0.1, 0.05, 0.2), (0.02, -0.01, 0.1), (-0.03, -0.05, -0.01)]
    summary = summarize([{"difference": gain, "interval": [low, high]} for gain, low, high in gains])
    assert (summary["wins"], summary["certain_wins"]) == (2, 1)
    assert (summary["losses"], summary["certain_losses"]) == (1, 1)
    assert (summary["mean_gain"], summary["worst_gain"]) == (pytest.approx(3), pytest.approx(-3))


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the results that a run keeps."""
    names: list[str] = []
    monkeypatch.setattr(accuracy, "keep", lambda name, *_: names.append(name))
    monkeypatch.setattr(accuracy, "describe", lambda _: {})
    monkeypatch.setattr(Refiner, "from_pretrained", lambda *_, **__: shifter(20.0))
    return names


def run(data: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["accuracy", "--data", str(data), *arguments])
    accuracy.main()


def test_a_whole_run_is_kept(
    data: Path, kept: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(data, monkeypatch)
    assert kept == ["accuracy"]
    assert "**Everyday people (COCO val2017), 5 photos: AP**" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sets", "everyday_dev"],
        ["--estimators", "left"],
        ["--limit", "3"],
        ["--only", "repairs", "collapsed"],
    ],
    ids=" ".join,
)
def test_a_partial_run_is_not_kept(
    data: Path, kept: list[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    run(data, monkeypatch, *arguments)
    assert kept == []


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where results are kept, with one without a control."""
    folder = tmp_path / "results"
    monkeypatch.setattr(environment, "RESULTS", folder)
    monkeypatch.setattr(accuracy, "describe", lambda _: {"cores": 2})
    return folder


def test_a_part_joins_the_kept_result(data: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Refiner, "from_pretrained", lambda *_, **__: shifter(20.0))
    run(data, monkeypatch)
    before = json.loads((results / "accuracy.json").read_text())
    run(data, monkeypatch, "--control", "blind", "--only", "control", "--add")
    after = json.loads((results / "accuracy.json").read_text())
    assert before["control"] == "base" and after["control"] == "blind"
    assert after["added"] == [{"parts": ["control"], "environment": {"cores": 2}}]
    for name, part in after["sets"].items():
        numbers = part["estimators"]["left.coco17"]
        assert numbers["control"]["AP"] < 1  # shifted twice as far
        assert numbers == before["sets"][name]["estimators"]["left.coco17"]


def test_a_part_of_another_model_does_not_join(
    data: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refiner, "from_pretrained", lambda *_, **__: shifter(20.0))
    run(data, monkeypatch)
    kept = (results / "accuracy.json").read_bytes()
    monkeypatch.setattr(Refiner, "from_pretrained", lambda *_, **__: shifter(15.0))
    with pytest.raises(SystemExit, match="of another model; measure everything"):
        run(data, monkeypatch, "--only", "repairs", "--add")
    assert (results / "accuracy.json").read_bytes() == kept


def test_an_estimator_without_results_is_named(
    data: Path, kept: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="lspet_val: no results file of nobody"):
        run(data, monkeypatch, "--estimators", "nobody")
    assert kept == []

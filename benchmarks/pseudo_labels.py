"""How right labels are that estimators agree on, held beside labels that people drew.

    python -m benchmarks.pseudo_labels [--data DIR] [--detected FOLDER] [--photos DIR]

The people are those of everyday train who are at least 80 pixels tall, without the photos that were squeezed or
cropped; the estimators tinypose256, thunder and tinypose128 in the annotated boxes. A fifth of the photos are of COCO
train2017, on which they were trained. With --detected, also in boxes of a detector: FOLDER holds `people.json`
(`tools/find_people.py`, on these photos) and `NAME.coco17.json` (`tools/run_estimators.py`). A keypoint is right where
KS to the label that a person drew is above .5. For rules around the default one, and for the default one by certainty,
by keypoint and by overlap: how many labels are right, and how many of the drawn keypoints and people get one.

With --photos, also of a second round, in which the packaged model `base` agrees or not as a fourth estimator, with
what it makes of tinypose256's poses: on the photos alone that were held out of its training.

Keeps benchmarks/results/pseudo_labels.json and writes the tables into docs/training.md. What an earlier run kept of a
detector's boxes or of a second round stays unless it is measured again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarks.documents import insert, markdown
from benchmarks.environment import DATA, describe, is_kept, keep, kept

from posefix import Poses, Refiner, load_skeleton
from posefix.evaluation import match_people
from posefix.files import write_text_atomic
from posefix.formats.coco_annotations import Annotations, read_annotations, read_file_names
from posefix.interchange import read_pose_file
from posefix.people import is_held_out
from posefix.pose.geometry import box_iou
from posefix.pose.poses import rows_by_image
from posefix.pose.similarity import keypoint_similarity
from posefix.training.agreement import AgreementRule, find_agreement
from posefix.training.config import load_recipe

DOCUMENT = Path(__file__).parents[1] / "docs" / "training.md"
MARKS = {
    "rules": "pseudo-labels",
    "by_certainty": "pseudo-label-certainty",
    "second_round": "pseudo-label-rounds",
}
ESTIMATORS = ("tinypose256", "thunder", "tinypose128")
TEACHER = "base"
SMALLEST_HEIGHT = 80
RIGHT = 0.5
RULES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "as it is": (ESTIMATORS, {}),
    "certainty from 0": (ESTIMATORS, {"certainty": 0.0}),
    "certainty from .2": (ESTIMATORS, {"certainty": 0.2}),
    "certainty from .4": (ESTIMATORS, {"certainty": 0.4}),
    "certainty from .5": (ESTIMATORS, {"certainty": 0.5}),
    "same place from .5": (ESTIMATORS, {"same_place": 0.5}),
    "same place from .85": (ESTIMATORS, {"same_place": 0.85}),
    "same person from .3": (ESTIMATORS, {"same_person": 0.3}),
    "same person from .7": (ESTIMATORS, {"same_person": 0.7}),
    "people of one keypoint and more": (ESTIMATORS, {"keypoints": 1}),
    "people of eight keypoints and more": (ESTIMATORS, {"keypoints": 8}),
    "overlapping people, too": (ESTIMATORS, {"overlap": 1.0}),
    "overlap up to .2": (ESTIMATORS, {"overlap": 0.2}),
    "tinypose256 and thunder": (ESTIMATORS[:2], {}),
    "and movenet": ((*ESTIMATORS, "movenet"), {}),
}
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Truth:
    """The annotated people and what of them is judged.

    Attributes:
        annotations: Of everyday train.
        whole: Photos of true proportions, that were looked at.
        judged: (N,) of the people: tall enough, in a whole photo.
        overlap: (N,) largest IoU of the box with that of another person.
    """

    annotations: Annotations
    whole: frozenset[int | str]
    judged: BoolArray
    overlap: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judgement:
    """Labels of P pseudo-labelled people who were matched with a judged person.

    Attributes:
        people: (P,) rows of the annotated people.
        kept: (P, K) which keypoints have a pseudo-label.
        right: (P, K) whose are right.
        certainty: (P, K).
        nobody: People with pseudo-labels, in whole photos, who resemble nobody annotated.
    """

    people: npt.NDArray[np.int64]
    kept: BoolArray
    right: BoolArray
    certainty: npt.NDArray[np.float64]
    nobody: int


def read_truth(folder: Path, shown_in: Path | None = None, share: float = 1.0) -> Truth:
    """The truth; of the photos that a detector's file names, where there is one, and of those held out by a share."""
    path = folder / "everyday" / "person_keypoints_train.json"
    annotations = read_annotations(path)
    images = json.loads(path.read_text(encoding="utf-8"))["images"]
    names = None if shown_in is None else set((read_file_names(shown_in) or {}).values())
    whole = frozenset(
        image["id"]
        for image in images
        if not {"squeezed", "cropped"} & set(image)
        and (names is None or image["file_name"] in names)
        and is_held_out(Path(image["file_name"]), share)
    )
    people = annotations.people
    overlap = np.zeros(len(people))
    for rows in rows_by_image(people.image_ids).values():
        overlap[rows] = (box_iou(people.bbox_xywh[rows]) - np.eye(len(rows))).max(axis=1)
    shown = np.array([image_id in whole for image_id in people.image_ids])
    judged = shown & (people.bbox_xywh[:, 3] >= SMALLEST_HEIGHT) & (people.visibility > 0).any(axis=1)
    return Truth(annotations, whole, judged, overlap)


def read_estimates(truth: Truth, folder: Path, names: Sequence[str]) -> list[Poses]:
    """Poses of the estimators; image ids of a detector's file become those of the annotations, by file name."""
    boxes = folder / "people.json"
    ids = {image.file_name: image_id for image_id, image in truth.annotations.images.items()}
    files = (read_file_names(boxes) or {}) if boxes.is_file() else {}
    known = {image_id: ids[name] for image_id, name in files.items()}
    estimates = []
    for name in names:
        poses = read_pose_file(folder / f"{name}.coco17.json", load_skeleton("coco17")).poses
        image_ids = tuple(known.get(image_id, image_id) for image_id in poses.image_ids)
        poses = dataclasses.replace(poses, image_ids=image_ids)
        estimates.append(poses[np.array([image_id in truth.whole for image_id in image_ids])])
    return estimates


def judge(truth: Truth, estimates: Sequence[Poses], rule: AgreementRule) -> Judgement:
    images, people = truth.annotations.images, truth.annotations.people

    def size(image_id: int | str) -> tuple[int, int]:
        image = images[image_id]
        assert image.width is not None and image.height is not None
        return image.width, image.height

    found = find_agreement(estimates, size, rule).poses
    matches = match_people(found, truth.annotations)
    kept = truth.judged[matches.people]
    poses, rows = found[matches.poses[kept]], matches.people[kept]
    squared = ((poses.keypoints - people.keypoints[rows]) ** 2).sum(axis=-1)
    similarity = keypoint_similarity(squared, people.area[rows, None], poses.skeleton.sigmas)
    return Judgement(
        rows, poses.valid, poses.valid & (similarity > RIGHT), poses.scores, len(found) - len(matches)
    )


def summary(truth: Truth, judgement: Judgement, chosen: BoolArray | None = None) -> dict[str, Any]:
    """Shares, of all judged people or of some of them (N,)."""
    wanted = truth.judged if chosen is None else truth.judged & chosen
    labelled = truth.annotations.people.visibility > 0
    rows = wanted[judgement.people]
    checked = judgement.kept[rows] & labelled[judgement.people[rows]]
    return {
        "people": int(wanted.sum()),
        "right": share(judgement.right[rows][checked]),
        "keypoints_kept": round(float(checked.sum() / max(labelled[wanted].sum(), 1)), 4),
        "people_kept": round(float(rows.sum() / max(wanted.sum(), 1)), 4),
        "not_drawn": share(~labelled[judgement.people[rows]][judgement.kept[rows]]),
    }


def share(values: npt.NDArray[np.bool_]) -> float | None:
    return round(float(values.mean()), 4) if values.size else None


def measure(truth: Truth, folder: Path) -> dict[str, Any]:
    """All figures with the results of a folder."""
    rules: dict[str, Any] = {}
    judgements: dict[str, Judgement] = {}
    for name, (estimators, changes) in RULES.items():
        if all((folder / f"{one}.coco17.json").is_file() for one in estimators):
            rule = AgreementRule(**changes)
            judgements[name] = judge(truth, read_estimates(truth, folder, estimators), rule)
            rules[name] = {**summary(truth, judgements[name]), "on_nobody": judgements[name].nobody}
            print(name, rules[name])
    together = judgements["overlapping people, too"]
    return {
        "rules": rules,
        "by_certainty": by_certainty(truth, judgements["certainty from 0"]),
        "by_keypoint": by_keypoint(truth, judgements["as it is"]),
        "by_overlap": {
            f"{low:g} to {high:g}": summary(truth, together, (truth.overlap >= low) & (truth.overlap < high))
            for low, high in ((0, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 1))
        },
    }


def measure_rounds(folder: Path, photos: Path) -> dict[str, Any]:
    """Labels of the first and of the second round, of people whom `base` was not trained on."""
    truth = read_truth(folder, share=load_recipe(TEACHER).data.held_out[1])
    first = read_estimates(truth, folder / "predictions" / "everyday_train", ESTIMATORS)
    images = truth.annotations.images
    shown = {image_id: photos / images[image_id].file_name for image_id in first[0].image_ids}
    teacher = Refiner.from_pretrained(TEACHER).refine(first[0], shown)
    rounds = {"first round": first, "second round": [*first, teacher.poses]}
    return {
        name: summary(truth, judge(truth, estimates, AgreementRule())) for name, estimates in rounds.items()
    }


def by_certainty(truth: Truth, judgement: Judgement) -> dict[str, Any]:
    checked = judgement.kept & (truth.annotations.people.visibility[judgement.people] > 0)
    tenth = np.minimum((judgement.certainty * 10).astype(int), 9)
    chosen = {step: checked & (tenth == step) for step in range(10)}
    return {
        f"{step / 10:g}": {"keypoints": int(where.sum()), "right": share(judgement.right[where])}
        for step, where in chosen.items()
        if where.any()
    }


def by_keypoint(truth: Truth, judgement: Judgement) -> dict[str, Any]:
    checked = judgement.kept & (truth.annotations.people.visibility[judgement.people] > 0)
    names = load_skeleton("coco17").keypoint_names
    return {name: share(judgement.right[:, k][checked[:, k]]) for k, name in enumerate(names)}


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def tables(measured: dict[str, Any]) -> dict[str, str]:
    """Mark in the document -> table."""
    shown = {"annotated boxes": measured["annotated"], "detected boxes": measured.get("detected")}
    parts = {title: part for title, part in shown.items() if part}
    columns = ("right", "keypoints_kept", "people_kept")
    heads = [f"{what}, {title}" for title in parts for what in ("right, %", "keypoints, %", "people, %")]
    rows = [
        [name, *(percent(part["rules"].get(name, {}).get(key)) for part in parts.values() for key in columns)]
        for name in RULES
    ]
    certain = measured["annotated"]["by_certainty"]
    rounds = [
        [name, *(percent(entry[key]) for key in columns)]
        for name, entry in measured.get("second_round", {}).items()
    ]
    return {
        MARKS["rules"]: markdown(["rule", *heads], rows),
        MARKS["by_certainty"]: markdown(
            ["certainty from", *certain],
            [["right, %", *(percent(entry["right"]) for entry in certain.values())]],
        ),
        MARKS["second_round"]: markdown(["", "right, %", "keypoints, %", "people, %"], rounds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--detected", type=Path, help="folder of a detector's boxes and results in them")
    parser.add_argument("--photos", type=Path, help="of everyday train, for a second round")
    options = parser.parse_args()
    predictions = options.data / "predictions" / "everyday_train"
    measured = kept("pseudo_labels") if is_kept("pseudo_labels") else {}
    measured.pop("environment", None)
    measured["annotated"] = measure(read_truth(options.data), predictions)
    if options.detected:
        truth = read_truth(options.data, options.detected / "people.json")
        measured["detected"] = measure(truth, options.detected)
    if options.photos:
        measured["second_round"] = measure_rounds(options.data, options.photos)
    print(keep("pseudo_labels", describe([]), measured))
    text = DOCUMENT.read_text(encoding="utf-8")
    for mark, table in tables(measured).items():
        text = insert(text, mark, table)
    write_text_atomic(DOCUMENT, text)


if __name__ == "__main__":
    main()

"""COCO's keypoint AP and AR, on the keypoints that results and annotations both name.

The numbers are hotcoco's, which equal pycocotools' bit for bit; nothing is measured here. This module only
cuts both sides down to their shared keypoints, in one order, and hands them over.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.evaluation.percentages import metric_table, percent
from posefix.files import without_collection
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses
from posefix.skeletons import Keypoint, match_keypoints

METRIC_NAMES = ("AP", "AP50", "AP75", "AP-M", "AP-L", "AR", "AR50", "AR75", "AR-M", "AR-L")
"""What the ten numbers are called in tables, in COCO's order."""
CATEGORY_ID = 1


@dataclass(frozen=True)
class CocoMetrics:
    """COCO's ten keypoint numbers, 0 to 1; -1, as in pycocotools, where no annotated person has that size.

    AP and AR are means over the OKS thresholds .50, .55, ..., .95; 50 and 75 name one threshold. Medium people
    have an area of 32^2 to 96^2 px, large ones above; at most 20 poses of an image count.

    Attributes:
        keypoint_names: the keypoints that were compared, as the annotations name them.
        area_is_estimated: the annotations have no areas, so that .53 x box area stood in for them.
    """

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float
    ar50: float
    ar75: float
    ar_medium: float
    ar_large: float
    keypoint_names: tuple[str, ...]
    area_is_estimated: bool = False

    def as_dict(self) -> dict[str, float]:
        """The ten numbers by their names in `METRIC_NAMES`."""
        values = (self.ap, self.ap50, self.ap75, self.ap_medium, self.ap_large)
        recalls = (self.ar, self.ar50, self.ar75, self.ar_medium, self.ar_large)
        return dict(zip(METRIC_NAMES, values + recalls, strict=True))

    def notes(self) -> list[str]:
        """Lines that say what was compared and where the areas come from."""
        area = ["areas estimated as .53 x box area"] if self.area_is_estimated else []
        return ["; ".join([describe_keypoints(self.keypoint_names), *area])]

    def table(self) -> str:
        """Two lines, names above percentages, and a third one that says what was compared."""
        return "\n".join([*metric_table(self.as_dict()), *self.notes()])

    def __str__(self) -> str:
        return ", ".join(f"{name} {percent(value)}" for name, value in self.as_dict().items())


def describe_keypoints(names: Sequence[str]) -> str:
    """One line on the keypoints that were compared."""
    return f"keypoints compared ({len(names)}): {', '.join(names)}"


def evaluate_coco(results: Poses, annotations: Annotations) -> CocoMetrics:
    """Measure AP and AR of poses against annotated people, exactly as pycocotools does.

    Keypoints are matched by name; those that only one side names, or that the annotations' skeleton lists as
    unscored, do not count. Sigmas are the annotations'; where their skeleton has none, the results'. A person
    without a label on any shared keypoint, or whose ``num_keypoints`` is 0, is ignored: finding that person is neither
    rewarded nor punished. A
    missing keypoint is compared as it stands in the file, at (0, 0) as a rule, hence counts as wrong. Images
    without results count, with all their people missed. Annotated categories with the same keypoints are one.

    Args:
        results: poses in pixels of the original images; `pose_scores` rank them.
        annotations: people with keypoints; without `area`, theirs is .53 x box area, a person's usual share.

    Raises:
        InputError: if no keypoint is shared, a sigma is unknown on both sides, the annotations hold no people, or a
            pose's image is not in the annotations.
    """
    evaluator, truth = run_evaluator(results, annotations)
    return read_metrics(evaluator, truth.shared.names, annotations)


def read_metrics(
    evaluator: hotcoco.COCOeval, names: tuple[str, ...], annotations: Annotations
) -> CocoMetrics:
    """The ten numbers of an evaluator that has run."""
    ap, ap50, ap75, ap_medium, ap_large, ar, ar50, ar75, ar_medium, ar_large = read_stats(evaluator).values()
    return CocoMetrics(
        ap=ap,
        ap50=ap50,
        ap75=ap75,
        ap_medium=ap_medium,
        ap_large=ap_large,
        ar=ar,
        ar50=ar50,
        ar75=ar75,
        ar_medium=ar_medium,
        ar_large=ar_large,
        keypoint_names=names,
        area_is_estimated=annotations.people.area_is_estimated,
    )


def read_stats(evaluator: hotcoco.COCOeval) -> dict[str, float]:
    """The ten numbers of an evaluator that has run, by their names in `METRIC_NAMES`."""
    return dict(zip(METRIC_NAMES, map(float, evaluator.stats), strict=True))


def run_evaluator(results: Poses, annotations: Annotations) -> tuple[hotcoco.COCOeval, EvaluatorTruth]:
    """Match poses with people and summarise; returns the evaluator and what it compared with.

    Raises:
        InputError: see `evaluate_coco`.
    """
    check_images(results, annotations)
    truth = EvaluatorTruth.of(annotations, share_keypoints(results, annotations))
    evaluator = truth.evaluator(results)
    # The library prints its table, and warns that sigmas other than COCO's seventeen are not its benchmark.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="hotcoco: kpt_oks_sigmas")
        evaluator.run()
    return evaluator, truth


@dataclass(frozen=True, eq=False)
class SharedKeypoints:
    """The S scored keypoints that results and annotations both name, in the annotations' order.

    Attributes:
        result_columns: (S,) their places in the results' layout.
        annotation_columns: (S,) their places in the annotations' layout.
        keypoints: named as in the annotations, each with its sigma.
    """

    result_columns: npt.NDArray[np.int64]
    annotation_columns: npt.NDArray[np.int64]
    keypoints: tuple[Keypoint, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """As the annotations name them."""
        return tuple(keypoint.name for keypoint in self.keypoints)

    @property
    def sigmas(self) -> npt.NDArray[np.float64]:
        """(S,): the annotations' own; the results' where the annotations have none."""
        return np.array([keypoint.sigma for keypoint in self.keypoints], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class EvaluatorTruth:
    """Annotated people as the evaluator takes them, for any number of results of one layout.

    Attributes:
        shared: the keypoints to which both sides are cut down.
        image_numbers: the evaluator's number of each photo.
        people: a person's id there is the row in the annotations plus 1, a pose's id its row plus 1.
    """

    shared: SharedKeypoints
    image_numbers: dict[int | str, int]
    people: hotcoco.COCO

    @classmethod
    def of(cls, annotations: Annotations, shared: SharedKeypoints) -> EvaluatorTruth:
        """Hand the annotations over."""
        image_numbers = _image_numbers(annotations)
        with without_collection():
            people = hotcoco.COCO(
                {
                    "images": [{"id": number} for number in image_numbers.values()],
                    "annotations": _truth_rows(annotations, shared.annotation_columns, image_numbers),
                    "categories": [{"id": CATEGORY_ID, "name": "person", "keypoints": list(shared.names)}],
                }
            )
        return cls(shared, image_numbers, people)

    def evaluator(self, results: Poses) -> hotcoco.COCOeval:
        """An evaluator of poses in annotated photos that has not run yet."""
        with without_collection():
            # No name for the rows: they are gone before Python looks for cycles again, among a list for each pose.
            found = self.people.load_res(
                _result_rows(results, self.shared.result_columns, self.image_numbers)
            )
            evaluator = hotcoco.COCOeval(self.people, found, "keypoints")
        evaluator.params.kpt_oks_sigmas = self.shared.sigmas.tolist()
        return evaluator


def share_keypoints(results: Poses, annotations: Annotations) -> SharedKeypoints:
    """Find the keypoints on which poses can be measured.

    Raises:
        InputError: if there is none, or the sigma of one is unknown on both sides.
    """
    mapping = match_keypoints(results.skeleton, annotations.skeleton)
    pairs = [
        (source, target)
        for target, source in sorted(zip(mapping.target_index, mapping.source_index, strict=True))
        if annotations.skeleton.keypoints[target].name not in annotations.skeleton.unscored
    ]
    if not pairs:
        raise InputError(
            f"Results of layout {results.skeleton.name!r} and {annotations.path} share no keypoint that is "
            "scored; name the results' own layout."
        )
    keypoints = []
    for source, target in pairs:
        truth = annotations.skeleton.keypoints[target]
        sigma = truth.sigma if truth.sigma is not None else results.skeleton.keypoints[source].sigma
        if sigma is None:
            raise InputError(
                f"{annotations.path}: no sigma is known for keypoint {truth.name!r}, and OKS needs one; give it "
                "in a skeleton file."
            )
        keypoints.append(Keypoint(truth.name, sigma, truth.definition))
    result_columns, annotation_columns = np.array(pairs, dtype=np.int64).T
    return SharedKeypoints(result_columns, annotation_columns, tuple(keypoints))


def check_images(results: Poses, annotations: Annotations, title: str | Path = "Results") -> None:
    """Refuse to measure where it cannot mean anything.

    Args:
        results: The poses.
        annotations: What they are measured against.
        title: What messages call the poses; their file.

    Raises:
        InputError: if the annotations hold no people, or a pose's image is not among theirs.
    """
    if not annotations.people.ids:
        raise InputError(f"{annotations.path}: expected annotated people to measure against, got none.")
    if annotations.images.keys() >= set(results.image_ids):
        return
    for row, image_id in enumerate(results.image_ids):
        if image_id not in annotations.images:
            raise InputError(
                f"{title}, row {row}, field 'image_id': {image_id!r} is not among the images of "
                f"{annotations.path}; give the annotations of the same images, or leave such rows out, as "
                "posefix evaluate --subset does."
            )


def _image_numbers(annotations: Annotations) -> dict[int | str, int]:
    """A number for each annotated image: the evaluator takes integers only, and orders equal scores by them."""
    ids = sorted(annotations.images, key=lambda image_id: (isinstance(image_id, str), image_id))
    return {image_id: number for number, image_id in enumerate(ids, start=1)}


def _truth_rows(
    annotations: Annotations, index: npt.NDArray[np.int64], image_numbers: dict[int | str, int]
) -> list[dict[str, Any]]:
    """COCO annotations reduced to the shared keypoints."""
    people = annotations.people
    visibility = people.visibility[:, index]
    numbers = _flat_triples(people.keypoints, visibility, index)
    # A person of whom the file says that nothing is labelled keeps the keypoints, but does not count.
    labelled = np.where(people.num_keypoints == 0, 0, (visibility > 0).sum(axis=1))
    columns = (labelled, people.bbox_xywh, people.area, people.is_crowd.astype(np.int64))
    return [
        {
            "id": row,  # never 0, which the reference evaluator takes for "not matched"
            "image_id": image_numbers[image_id],
            "category_id": CATEGORY_ID,
            "keypoints": keypoints,
            "num_keypoints": count,
            "bbox": box,
            "area": area,
            "iscrowd": crowd,
        }
        for row, (image_id, keypoints, count, box, area, crowd) in enumerate(
            zip(people.image_ids, numbers, *(column.tolist() for column in columns), strict=True), start=1
        )
    ]


def _result_rows(
    results: Poses, index: npt.NDArray[np.int64], image_numbers: dict[int | str, int]
) -> list[dict[str, Any]]:
    """COCO results reduced to the shared keypoints."""
    numbers = _flat_triples(results.keypoints, results.scores[:, index], index)
    return [
        {
            "image_id": image_numbers[image_id],
            "category_id": CATEGORY_ID,
            "keypoints": keypoints,
            "score": score,
        }
        for image_id, keypoints, score in zip(
            results.image_ids, numbers, results.pose_scores.tolist(), strict=True
        )
    ]


def _flat_triples(
    keypoints: npt.NDArray[np.float64], third: npt.NDArray[Any], index: npt.NDArray[np.int64]
) -> list[list[float]]:
    """x, y and a third number (N, S) of some of the keypoints (N, K, 2), a list for each person."""
    triples = np.empty((*third.shape, 3))
    triples[..., :2], triples[..., 2] = keypoints[:, index], third
    flat: list[list[float]] = triples.reshape(len(triples), 3 * len(index)).tolist()
    return flat

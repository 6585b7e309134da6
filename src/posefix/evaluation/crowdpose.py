"""CrowdPose's AP: COCO's, with areas from the boxes, and by how much the people of a photo hide each other.

https://github.com/Jeff-sjtu/CrowdPose, whose evaluation differs from COCO's in this: a person's area is always .53 x
box area; sizes do not matter; and AP is told apart by the photos' crowd index, below .2, below .8, and above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from posefix.errors import InputError
from posefix.evaluation.coco import EvaluatorTruth, describe_keypoints, read_stats, run_evaluator
from posefix.evaluation.percentages import metric_table
from posefix.formats.coco_annotations import AREA_OF_BOX, Annotations
from posefix.pose.poses import ImageId, Poses

CROWDS = {"AP easy": 0.2, "AP medium": 0.8, "AP hard": float("inf")}
"""Groups of photos, and the crowd index below which a photo belongs to them and not to the next."""
AS_COCO = ("AP", "AP50", "AP75", "AR", "AR50", "AR75")
CROWDPOSE_METRIC_NAMES = (*AS_COCO, *CROWDS)


@dataclass(frozen=True)
class CrowdPoseMetrics:
    """CrowdPose's nine numbers, 0 to 1; -1 where nobody is annotated.

    Attributes:
        values: By their names in `CROWDPOSE_METRIC_NAMES`.
        keypoint_names: The keypoints that were compared, as the annotations name them.
    """

    values: Mapping[str, float]
    keypoint_names: tuple[str, ...]

    def as_dict(self) -> dict[str, float]:
        """The nine numbers by name."""
        return dict(self.values)

    def notes(self) -> list[str]:
        """Lines that say what was compared."""
        return [describe_keypoints(self.keypoint_names)]

    def table(self) -> str:
        """Names above percentages, and what was compared."""
        return "\n".join([*metric_table(self.values), *self.notes()])


def evaluate_crowdpose(results: Poses, annotations: Annotations) -> CrowdPoseMetrics:
    """Measure AP and AR of poses against annotated people as CrowdPose does; keypoints are matched by name.

    Args:
        results: Poses in pixels of the original images; `pose_scores` rank them.
        annotations: People with boxes, in photos with a crowd index.

    Raises:
        InputError: A photo has no crowd index, or see `evaluate_coco`.
    """
    crowds = _crowds(annotations)
    people = annotations.people
    area = AREA_OF_BOX * people.bbox_xywh[:, 2] * people.bbox_xywh[:, 3]
    annotations = replace(annotations, people=replace(people, area=area))
    evaluator, truth = run_evaluator(results, annotations)
    stats = read_stats(evaluator)
    values = {name: stats[name] for name in AS_COCO}
    values |= {name: _ap_of(results, truth, crowds[name]) for name in CROWDS}
    return CrowdPoseMetrics(values, truth.shared.names)


def _crowds(annotations: Annotations) -> dict[str, list[ImageId]]:
    """The photos of each group."""
    members: dict[str, list[ImageId]] = {name: [] for name in CROWDS}
    for image_id, image in annotations.images.items():
        index = image.crowd_index
        if index is None:
            raise InputError(
                f"{annotations.path}, image {image_id!r}, field 'crowdIndex': expected a number, got none, and "
                "CrowdPose's AP is told apart by it; give it to every image, or choose --metric coco."
            )
        members[next(name for name, limit in CROWDS.items() if index < limit)].append(image_id)
    return members


def _ap_of(results: Poses, truth: EvaluatorTruth, image_ids: list[ImageId]) -> float:
    if not image_ids:
        return -1.0
    evaluator = truth.evaluator(results)
    evaluator.params.img_ids = [truth.image_numbers[image_id] for image_id in image_ids]
    evaluator.evaluate()
    evaluator.accumulate()
    assert evaluator.eval is not None, "accumulated just above"
    return float(evaluator.eval["precision"][:, :, :, 0, :].mean())

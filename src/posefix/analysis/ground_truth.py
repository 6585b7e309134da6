"""The annotated people against which results of one layout are analysed."""

from __future__ import annotations

from dataclasses import dataclass

from posefix.evaluation.coco import EvaluatorTruth, SharedKeypoints, share_keypoints
from posefix.evaluation.matching import countable_people
from posefix.evaluation.repairs import annotated_people
from posefix.formats.coco_annotations import Annotations
from posefix.people import PersonRecords
from posefix.pose.poses import Poses, Rows
from posefix.skeletons import Skeleton


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Annotations, cut down to the keypoints that results name too.

    Attributes:
        annotations: the people.
        evaluator: the same people as the COCO evaluator takes them.
        countable: (G,) rows of the people who count: no crowd, an area, a label on a shared keypoint.
        records: these G people with their neighbours.
        skeleton: of the shared keypoints, in the annotations' order.
    """

    annotations: Annotations
    evaluator: EvaluatorTruth
    countable: Rows
    records: PersonRecords
    skeleton: Skeleton

    @classmethod
    def of(cls, poses: Poses, annotations: Annotations) -> GroundTruth:
        """The annotations as poses of this layout see them.

        Raises:
            InputError: no keypoint is shared, a sigma is unknown on both sides, or nobody is labelled on the shared
                keypoints.
        """
        shared = share_keypoints(poses, annotations)
        records, skeleton = annotated_people(annotations, shared)
        countable = countable_people(annotations, shared.annotation_columns)
        return cls(annotations, EvaluatorTruth.of(annotations, shared), countable, records, skeleton)

    @property
    def shared(self) -> SharedKeypoints:
        """The keypoints that are compared."""
        return self.evaluator.shared

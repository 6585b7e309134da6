"""What a skeleton lacks for training and drawing, for people."""

from __future__ import annotations

from posefix.skeletons.mirroring import mirror_pairs
from posefix.skeletons.skeleton import Skeleton


def concerns(skeleton: Skeleton) -> tuple[str, ...]:
    """One sentence for each thing that is legal but probably not meant.

    Example:
        >>> from posefix.skeletons import load_skeleton
        >>> concerns(load_skeleton("coco17"))
        ()
        >>> concerns(load_skeleton("coco17").subset(["nose", "left_eye"]))[0]
        'no flip pairs: in a mirror no keypoint changes places'
    """
    return (*_flip_pairs(skeleton), *_limbs(skeleton), *_sigmas(skeleton))


def _flip_pairs(skeleton: Skeleton) -> list[str]:
    by_name = [
        pair
        for pair in mirror_pairs(skeleton.keypoint_names)
        if set(pair) not in map(set, skeleton.flip_pairs)
    ]
    if by_name:
        listed = ", ".join(f"{a} / {b}" for a, b in by_name)
        return [f"the names say that these are mirror partners, the flip pairs do not: {listed}"]
    return [] if skeleton.flip_pairs else ["no flip pairs: in a mirror no keypoint changes places"]


def _limbs(skeleton: Skeleton) -> list[str]:
    if not skeleton.limbs:
        return ["no limbs: drawings show points only, and a person cut out for crowding is nothing but them"]
    limbs = {frozenset(limb) for limb in skeleton.limb_index.tolist()}
    mirrored = skeleton.flip_index[skeleton.limb_index].tolist()
    names = skeleton.keypoint_names
    lonely = [limb for limb, other in zip(skeleton.limb_index.tolist(), mirrored, strict=True)
              if frozenset(other) not in limbs]  # fmt: skip
    if not lonely:
        return []
    return ["limbs without their mirror image: " + ", ".join(f"{names[a]} - {names[b]}" for a, b in lonely)]


def _sigmas(skeleton: Skeleton) -> list[str]:
    unknown = [keypoint.name for keypoint in skeleton.keypoints if keypoint.sigma is None]
    if not unknown:
        return []
    return [
        f"no sigma for {', '.join(unknown)}: training and evaluation need one; "
        "`posefix skeleton ANNOTATIONS --output FILE` guesses them"
    ]

"""Measure how far the keypoints of people lie from one another, for crops of people of whom only a part was found.

    python tools/measure_proportions.py everyday/person_keypoints_train.json -o src/posefix/data/proportions.json

Of a COCO keypoint file people with all limbs labelled count, each turned upright by the trunk and divided by the spread
of shoulders, elbows, wrists, hips, knees and ankles.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix.files import write_text_atomic
from posefix.formats.coco_annotations import read_annotations
from posefix.skeletons import load_skeleton, match_keypoints

FloatArray = npt.NDArray[np.float64]

PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
COCO = load_skeleton("coco17")
LIMBS = [COCO.index(f"{side}_{part}") for part in PARTS for side in ("left", "right")]
DECIMALS = 3


def upright_people(path: Path) -> FloatArray:
    """(N, K, 2) people of coco17, upright, centred and of spread 1; NaN where a keypoint has no label."""
    annotations = read_annotations(path)
    mapping, people = match_keypoints(annotations.skeleton, COCO), annotations.people
    places = np.full((len(people), len(COCO), 2), np.nan)
    labelled = (people.visibility > 0) & ~people.is_crowd[:, None]
    known = np.where(labelled[..., None], people.keypoints, np.nan)
    places[:, mapping.target_index] = known[:, mapping.source_index]
    limbs = places[:, LIMBS]
    centred = places - limbs.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred[:, LIMBS] ** 2).sum(axis=-1).mean(axis=1))
    up = limbs[:, :2].mean(axis=1) - limbs[:, 6:8].mean(axis=1)  # from the hips to the shoulders
    usable = (spread > 0) & (np.linalg.norm(up, axis=1) > 0)
    return np.asarray(_turned(centred[usable], up[usable]) / spread[usable, None, None])


def _turned(people: FloatArray, up: FloatArray) -> FloatArray:
    """People (N, K, 2) turned so that their `up` (N, 2) points up the photo."""
    direction = up / np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-9)
    across = np.stack([-direction[:, 1], direction[:, 0]], axis=-1)
    sideways, downwards = (np.einsum("nkd,nd->nk", people, axis) for axis in (across, -direction))
    return np.stack([sideways, downwards], axis=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    people = upright_people(options.annotations)
    apart = ((people[:, :, None] - people[:, None]) ** 2).sum(axis=-1)
    content = {
        "description": "Mean places, x to the right and y down, and mean squared distances of upright people, in units "
        "of the spread of their limbs; tools/measure_proportions.py.",
        "people": len(people),
        "keypoints": list(COCO.keypoint_names),
        "places": np.round(np.nanmean(people, axis=0), DECIMALS).tolist(),
        "squared_distances": np.round(np.nanmean(apart, axis=0), DECIMALS).tolist(),
    }
    lines = (f"  {json.dumps(key)}: {_text(value)}" for key, value in content.items())
    write_text_atomic(options.output, "{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(people)} people: {options.output}")


def _text(value: object) -> str:
    """A value as the file has it, a line for each row of numbers."""
    if isinstance(value, list) and isinstance(value[0], list):
        return "[\n" + ",\n".join(f"    {json.dumps(row)}" for row in value) + "\n  ]"
    return json.dumps(value)


if __name__ == "__main__":
    main()

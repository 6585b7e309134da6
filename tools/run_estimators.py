"""Poses of two small estimators on the annotated boxes of a COCO keypoint file, as COCO results: inputs to train on.

    python tools/run_estimators.py efficientpose-rt ANNOTATIONS IMAGES OUTPUT --models DIR [--jitter 0.1] [--seed 0]

The packaged recipes name the files that it makes `estimates/lspet_train/...` (jitter 0.1, seed 16 for efficientpose-rt
and 9 for hourglass) and `estimates/coco_train/...` (jitter 0). The estimators' ONNX files are not part of posefix.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from rich.progress import track

from posefix.files import ensure_writable, make_folder, write_text_atomic
from posefix.formats.coco_annotations import read_annotations
from posefix.photos.finding import decode_image, find_images
from posefix.pose.geometry import invert, transform, warp

BOX_FACTOR = 1.25
MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)
STD = np.array([58.395, 57.12, 57.375], dtype=np.float32)


@dataclass(frozen=True)
class Estimator:
    """How an estimator wants its crops, and where in a heatmap cell a keypoint lies.

    Attributes:
        side: Of the square crop, pixels.
        output: Name of the heatmaps (1, h, w, K) among the graph's outputs.
        normalized: RGB normalised with ImageNet's mean and deviation; else BGR in 0 to 255.
        cell_offset: Added to a cell's index before scaling it to the crop.
    """

    side: int
    output: str
    normalized: bool
    cell_offset: float


ESTIMATORS = {
    "efficientpose-rt": Estimator(224, "upscaled_confs/BiasAdd", normalized=True, cell_offset=0.0),
    "hourglass": Estimator(192, "hourglass_out_3", normalized=False, cell_offset=0.5),
}


def crop_matrix(
    bbox_xywh: npt.NDArray[np.float64], side: int, jitter: float, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Original-image pixels -> square crop (2, 3) around a box, changed a little."""
    x, y, width, height = bbox_xywh
    square = max(width, height) * BOX_FACTOR * np.exp(jitter * generator.standard_normal())
    centre_x = x + width / 2 + jitter * width * generator.standard_normal() / 2
    centre_y = y + height / 2 + jitter * height * generator.standard_normal() / 2
    scale = side / square
    return np.array([[scale, 0, side / 2 - scale * centre_x], [0, scale, side / 2 - scale * centre_y]])


def estimate(
    session: onnxruntime.InferenceSession, estimator: Estimator, crop: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Places (K, 2) in crop pixels and scores (K,)."""
    pixels = crop.astype(np.float32)
    pixels = (pixels - MEAN) / STD if estimator.normalized else pixels[..., ::-1]
    heatmaps = session.run([estimator.output], {session.get_inputs()[0].name: pixels[None]})[0][0]
    height, width, keypoints = heatmaps.shape
    flat = heatmaps.reshape(-1, keypoints)
    best = flat.argmax(axis=0)
    cells = np.stack([best % width, best // width], axis=1) + estimator.cell_offset
    return cells * np.array([estimator.side / width, estimator.side / height]), flat.max(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("estimator", choices=ESTIMATORS)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--models", type=Path, required=True, help="folder of the estimators' ONNX files")
    parser.add_argument("--jitter", type=float, default=0.0, help="spread of the boxes' size and place")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    make_folder(options.output.parent)
    ensure_writable(options.output)
    estimator = ESTIMATORS[options.estimator]
    session = onnxruntime.InferenceSession(
        str(options.models / f"{options.estimator}.onnx"), providers=["CPUExecutionProvider"]
    )
    annotations = read_annotations(options.annotations)
    people = annotations.people
    names = {image_id: image.file_name for image_id, image in annotations.images.items()}
    photos = find_images(people.image_ids, options.images, names)
    generator = np.random.default_rng(options.seed)
    rows: list[dict[str, Any]] = []
    for row in track(np.flatnonzero((people.visibility > 0).any(axis=1)), description=options.estimator):
        matrix = crop_matrix(people.bbox_xywh[row], estimator.side, options.jitter, generator)
        image_id = people.image_ids[row]
        crop = warp(decode_image(photos[image_id]), matrix, (estimator.side, estimator.side))
        places, scores = estimate(session, estimator, crop)
        places = transform(invert(matrix[None]), places[None])[0]
        keypoints = np.column_stack([places, scores]).round(2).ravel().tolist()
        rows.append(
            {
                "image_id": image_id,
                "category_id": 1,
                "keypoints": keypoints,
                "score": round(float(scores.mean()), 4),
            }
        )
    write_text_atomic(options.output, "[" + ",\n".join(map(json.dumps, rows)) + "]\n")


if __name__ == "__main__":
    main()

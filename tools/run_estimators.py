"""Poses of small estimators in the boxes of a COCO keypoint file, as COCO results: inputs to train on, and teachers.

    python tools/run_estimators.py efficientpose-rt ANNOTATIONS IMAGES OUTPUT --models DIR [--jitter 0.1] [--seed 0]

The recipe `large` names the files that it makes `estimates/lspet_train/...` (jitter 0.1, seed 16 for efficientpose-rt
and 9 for hourglass). Photos without annotations get boxes from `tools/find_people.py`. The estimators' ONNX files are
not part of posefix.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from rich.progress import track

from posefix.files import ensure_writable, make_folder, write_text_atomic
from posefix.formats.coco_annotations import PersonAnnotations, read_annotations
from posefix.photos.finding import decode_image, find_images
from posefix.pose.geometry import flip_images, invert, transform, warp
from posefix.pose.poses import rows_by_image
from posefix.skeletons import load_skeleton

BOX_FACTOR = 1.25
MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)
STD = np.array([58.395, 57.12, 57.375], dtype=np.float32)

FloatArray = npt.NDArray[np.float64]
Decode = Callable[[npt.NDArray[np.float32], tuple[int, int]], FloatArray]
"""Called with an output of the graph (B, ...) and the crop's width and height; returns x, y in crop pixels and score of
each keypoint (B, K, 3)."""


def peaks(heatmaps: npt.NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
    """Cells x, y (B, K, 2) of the highest values of heatmaps (B, K, h, w), and these values (B, K)."""
    flat = heatmaps.reshape(*heatmaps.shape[:2], -1)
    best, width = flat.argmax(axis=2), heatmaps.shape[3]
    return np.stack([best % width, best // width], axis=2).astype(np.float64), flat.max(axis=2)


def from_channels_last(offset: float) -> Decode:
    """Heatmaps (B, h, w, K) whose keypoints lie `offset` cells after a cell's index."""

    def decode(heatmaps: npt.NDArray[np.float32], size_wh: tuple[int, int]) -> FloatArray:
        cells, scores = peaks(heatmaps.transpose(0, 3, 1, 2))
        scale = np.array(size_wh) / heatmaps.shape[2:0:-1]
        return np.dstack([(cells + offset) * scale, scores])

    return decode


def from_shifted_peaks(heatmaps: npt.NDArray[np.float32], size_wh: tuple[int, int]) -> FloatArray:
    """Heatmaps (B, K, h, w) whose keypoints lie a quarter of a cell from the peak to its higher neighbours."""
    cells, scores = peaks(heatmaps)
    x, y = np.moveaxis(cells.astype(np.int64), 2, 0)
    # Mirrored at the border, so that a peak there has two equal neighbours and stays.
    padded = np.pad(heatmaps, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    person, keypoint = np.ogrid[: len(x), : x.shape[1]]
    right, left = padded[person, keypoint, y + 1, x + 2], padded[person, keypoint, y + 1, x]
    below, above = padded[person, keypoint, y + 2, x + 1], padded[person, keypoint, y, x + 1]
    shift = 0.25 * np.sign(np.stack([right - left, below - above], axis=2))
    return np.dstack([(cells + shift) * np.array(size_wh) / heatmaps.shape[:1:-1], scores])


def from_shares(poses: npt.NDArray[np.float32], size_wh: tuple[int, int]) -> FloatArray:
    """Keypoints y, x, score (B, K, 3) as shares of the crop."""
    return np.dstack([poses[..., 1::-1].astype(np.float64) * np.array(size_wh), poses[..., 2]])


@dataclass(frozen=True)
class Estimator:
    """How an estimator wants its crops, and what it returns.

    Attributes:
        file: Name of its ONNX file, without the ending.
        size_wh: Of the crop, pixels.
        output: Name of the graph's output to decode.
        decode: Makes of it keypoints.
        colours: RGB normalised with ImageNet's mean and deviation, or RGB or BGR in 0 to 255.
        channels_first: Whether the graph takes (B, 3, H, W), else (B, H, W, 3).
        mirrored: Whether the keypoints are the mean of those of the crop and of its mirror image; names coco17.
    """

    file: str
    size_wh: tuple[int, int]
    output: str
    decode: Decode
    colours: str = "normalised"
    channels_first: bool = False
    mirrored: bool = False


ESTIMATORS = {
    "efficientpose-rt": Estimator(
        "efficientpose-rt", (224, 224), "upscaled_confs/BiasAdd", from_channels_last(0.0)
    ),
    "hourglass": Estimator(
        "hourglass", (192, 192), "hourglass_out_3", from_channels_last(0.5), colours="bgr"
    ),
    "tinypose256": Estimator(
        "pp_tinypose_256x192", (192, 256), "heatmap", from_shifted_peaks, channels_first=True
    ),
    "tinypose128": Estimator(
        "pp_tinypose_128x96", (96, 128), "heatmap", from_shifted_peaks, channels_first=True
    ),
    # MoveNet Thunder with its own decoding in the graph: the output is its usual 17 x (y, x, score).
    "thunder": Estimator(
        "movenet_thunder", (256, 256), "poses", from_shares, colours="rgb", channels_first=True, mirrored=True
    ),
}


def crop_matrix(
    bbox_xywh: FloatArray, size_wh: tuple[int, int], jitter: float, generator: np.random.Generator
) -> FloatArray:
    """Original-image pixels -> crop (2, 3) around a box, changed a little."""
    x, y, width, height = bbox_xywh
    scale = np.min(np.array(size_wh) / (width, height)) / BOX_FACTOR
    scale /= np.exp(jitter * generator.standard_normal())
    centre_x = x + width / 2 + jitter * width * generator.standard_normal() / 2
    centre_y = y + height / 2 + jitter * height * generator.standard_normal() / 2
    return np.array(
        [[scale, 0, size_wh[0] / 2 - scale * centre_x], [0, scale, size_wh[1] / 2 - scale * centre_y]]
    )


def estimate(
    session: onnxruntime.InferenceSession, estimator: Estimator, crops: npt.NDArray[np.uint8]
) -> FloatArray:
    """Keypoints x, y, score (B, K, 3) in pixels of the crops (B, H, W, 3)."""
    if not estimator.mirrored:
        return _estimate(session, estimator, crops)
    found = _estimate(session, estimator, np.concatenate([crops, flip_images(crops)]))
    plain, mirrored = found[: len(crops)], found[len(crops) :, load_skeleton("coco17").flip_index]
    # Not width - 1 - x: a share of the crop is 0 and 1 at its edges.
    mirrored[..., 0] = estimator.size_wh[0] - mirrored[..., 0]
    return np.asarray((plain + mirrored) / 2)


def _estimate(
    session: onnxruntime.InferenceSession, estimator: Estimator, crops: npt.NDArray[np.uint8]
) -> FloatArray:
    pixels = crops.astype(np.float32)
    if estimator.colours == "normalised":
        pixels = (pixels - MEAN) / STD
    elif estimator.colours == "bgr":
        pixels = pixels[..., ::-1]
    if estimator.channels_first:
        pixels = pixels.transpose(0, 3, 1, 2)
    name = session.get_inputs()[0].name
    # One after the other: some graphs take no more at once.
    outputs = [
        session.run([estimator.output], {name: np.ascontiguousarray(picture[None])})[0] for picture in pixels
    ]
    return estimator.decode(np.concatenate(outputs), estimator.size_wh)


def rows_to_estimate(people: PersonAnnotations) -> npt.NDArray[np.int64]:
    """Rows of the people with a labelled keypoint; of all in a file that labels none, and is one of boxes."""
    labelled = (people.visibility > 0).any(axis=1)
    return np.flatnonzero(labelled | ~labelled.any())


def results_row(image_id: int | str, keypoints: FloatArray) -> dict[str, Any]:
    """A row of a COCO results file; the score is the mean of the keypoints'."""
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": keypoints.round(2).ravel().tolist(),
        "score": round(float(keypoints[:, 2].mean()), 4),
    }


def open_session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """A graph on the CPU, with so many threads; 0 is one for each core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("estimator", choices=ESTIMATORS)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--models", type=Path, required=True, help="folder of the estimators' ONNX files")
    parser.add_argument("--jitter", type=float, default=0.0, help="spread of the boxes' size and place")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="of the network; 0 is one for each core")
    options = parser.parse_args()
    make_folder(options.output.parent)
    ensure_writable(options.output)
    estimator = ESTIMATORS[options.estimator]
    session = open_session(options.models / f"{estimator.file}.onnx", options.threads)
    annotations = read_annotations(options.annotations)
    people = annotations.people
    names = {image_id: image.file_name for image_id, image in annotations.images.items()}
    photos = find_images(people.image_ids, options.images, names)
    generator = np.random.default_rng(options.seed)
    wanted = rows_to_estimate(people)
    boxes = people.bbox_xywh[wanted]
    matrices = np.array([crop_matrix(box, estimator.size_wh, options.jitter, generator) for box in boxes])
    rows: dict[int, dict[str, Any]] = {}
    by_photo = rows_by_image(people.image_ids[row] for row in wanted)
    for image_id, members in track(by_photo.items(), description=options.estimator):
        photo = decode_image(photos[image_id])
        crops = np.stack([warp(photo, matrix, estimator.size_wh) for matrix in matrices[members]])
        found = estimate(session, estimator, crops)
        places = transform(invert(matrices[members]), found[..., :2])
        for row, keypoints in zip(members, np.dstack([places, found[..., 2]]), strict=True):
            rows[row] = results_row(image_id, keypoints)
    lines = (json.dumps(rows[row]) for row in range(len(wanted)))
    write_text_atomic(options.output, "[" + ",\n".join(lines) + "]\n")


if __name__ == "__main__":
    main()

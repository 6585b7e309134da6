"""People in photos without annotations, as a COCO keypoint file of boxes: photos for `tools/run_estimators.py`.

    python tools/find_people.py IMAGES OUTPUT --models DIR [--photos 4000]

The detector is YOLOX-Nano, whose ONNX file is not part of posefix. Photos of more than `CROWD` people are left out, so
are people too small to tell their keypoints apart. No keypoint is labelled.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
from rich.progress import track
from tools.run_estimators import open_session

from posefix.errors import InputError
from posefix.files import ensure_writable, make_folder, write_text_atomic
from posefix.photos.finding import IMAGE_SUFFIXES, decode_image
from posefix.skeletons import load_skeleton

SIDE = 416
PADDING = 114
STRIDES = (8, 16, 32)
PERSON = 0
SCORE, OVERLAP = 0.4, 0.5
SMALLEST_HEIGHT = 80
"""In pixels of the photo."""
CROWD = 12

FloatArray = npt.NDArray[np.float64]


def letterbox(photo: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], float]:
    """What the detector takes, (1, 3, SIDE, SIDE) BGR, of a photo (H, W, 3), and its scale."""
    scale = min(SIDE / photo.shape[0], SIDE / photo.shape[1])
    height, width = (max(round(length * scale), 1) for length in photo.shape[:2])
    picture = np.full((SIDE, SIDE, 3), PADDING, dtype=np.float32)
    picture[:height, :width] = cv2.resize(photo, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1)[None]), scale


def decode(output: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Boxes xywh (A, 4) in pixels of the picture and scores (A,) of people, from the detector's raw output (A, 85)."""
    cells = [np.stack(np.meshgrid(*[np.arange(SIDE // stride)] * 2), axis=-1) for stride in STRIDES]
    grid = np.concatenate([cell.reshape(-1, 2) for cell in cells])
    stride = np.repeat(STRIDES, [(SIDE // stride) ** 2 for stride in STRIDES])[:, None]
    centre, size = (output[:, :2] + grid) * stride, np.exp(output[:, 2:4]) * stride
    return np.hstack([centre - size / 2, size]), output[:, 4] * output[:, 5 + PERSON]


def find_people(
    session: onnxruntime.InferenceSession, photo: npt.NDArray[np.uint8]
) -> tuple[FloatArray, FloatArray]:
    """Boxes xywh (N, 4), cut off at the photo's edges, and scores (N,) of its people, best first."""
    picture, scale = letterbox(photo)
    boxes, scores = decode(session.run(None, {session.get_inputs()[0].name: picture})[0][0].astype(float))
    kept = np.asarray(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), SCORE, OVERLAP), dtype=np.int64)
    boxes = boxes[kept.ravel()] / scale
    low = np.maximum(boxes[:, :2], 0)
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], photo.shape[1::-1])
    return np.hstack([low, high - low]), scores[kept.ravel()]


def draw_photos(folder: Path, most: int | None) -> list[Path]:
    """The photos of a folder by name; not all, but those with the lowest checksums of their names, if told so."""
    photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    drawn = sorted(photos, key=lambda path: zlib.crc32(path.name.encode()))[:most]
    return sorted(drawn)


def people_of(
    session: onnxruntime.InferenceSession, photos: list[Path]
) -> Iterator[tuple[dict[str, Any], FloatArray, FloatArray]]:
    """An entry of `images`, boxes and scores of each photo that can be read and shows no crowd."""
    for image_id, path in enumerate(track(photos, description="people"), start=1):
        try:
            photo = decode_image(path)
        except InputError as error:
            print(error)
            continue
        boxes, scores = find_people(session, photo)
        large = boxes[:, 3] >= SMALLEST_HEIGHT
        if len(boxes) <= CROWD:
            image = {
                "id": image_id, "file_name": path.name, "width": photo.shape[1], "height": photo.shape[0]
            }  # fmt: skip
            yield image, boxes[large], scores[large]


def annotation_file(found: list[tuple[dict[str, Any], FloatArray, FloatArray]]) -> dict[str, Any]:
    """The content of a COCO keypoint file without a labelled keypoint."""
    skeleton = load_skeleton("coco17")
    nothing = {"category_id": 1, "iscrowd": 0, "num_keypoints": 0, "keypoints": [0] * 3 * len(skeleton)}
    rows = (
        {"image_id": image["id"], "bbox": box.round(2).tolist(), "score": round(float(score), 4), **nothing}
        for image, boxes, scores in found
        for box, score in zip(boxes, scores, strict=True)
    )
    return {
        "images": [image for image, _, _ in found],
        "annotations": [{"id": number, **row} for number, row in enumerate(rows, start=1)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.keypoint_names)}],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--models", type=Path, required=True, help="folder of the detector's ONNX file")
    parser.add_argument("--photos", type=int, help="so many photos, drawn by the checksums of their names")
    parser.add_argument("--threads", type=int, default=0, help="of the network; 0 is one for each core")
    options = parser.parse_args()
    make_folder(options.output.parent)
    ensure_writable(options.output)
    session = open_session(options.models / "yolox_nano.onnx", options.threads)
    found = list(people_of(session, draw_photos(options.images, options.photos)))
    content = annotation_file(found)
    write_text_atomic(options.output, json.dumps(content) + "\n")
    print(f"{len(content['annotations'])} people in {len(found)} photos written to {options.output}")


if __name__ == "__main__":
    main()

"""Good files of everything that posefix reads, small, and what is done with each once it has faults."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from posefix.cli.app import main
from posefix.errors import InputError
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange.catalogue import FORMATS
from posefix.interchange.pose_files import Hints, read_pose_file, write_new_pose_file
from posefix.photos.pixels import decode_reduced, read_size
from posefix.photos.video import Video
from posefix.pose.poses import ImageId, Poses
from posefix.pose_errors.profile import load_error_profile
from posefix.pose_files.pose_file import NewFile
from posefix.review.session import Review
from posefix.skeletons import load_skeleton, match_keypoints

COCO = load_skeleton("coco17")
SIZE_WH = (64, 48)
FRAMES = ("sleap-csv",)
"""Formats that count frames and know no photos."""
COCO_OPTIONS = ("--layout", "coco17", "--images", "photos")
PHOTOS = {
    "jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP", "gif": "GIF", "ppm": "PPM",
    "jp2": "JPEG2000",
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """A kind of file.

    Attributes:
        name: Of the kind.
        make: Writes good files into an empty folder.
        use: What is done with the folder; raises InputError, as a refusal, and nothing else.
    """

    name: str
    make: Callable[[Path], None]
    use: Callable[[Path], None]


class UntoldError(AssertionError):
    """A command answered otherwise than it should."""


def command(*arguments: object) -> None:
    """Run a command of the command line, which ends well or says in one line what is wrong.

    Raises:
        InputError: It refused.
        UntoldError: It ended in another way.
    """
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    told = err.getvalue().strip()
    if code == 2 and (out.getvalue().strip() or (told.startswith("posefix: ") and "\n" not in told)):
        raise InputError(told or out.getvalue())
    if code not in (0, 3) or told:
        raise UntoldError(f"exit code {code}, {told!r}")


def poses() -> Poses:
    """Three people in two photos, one of them in part."""
    keypoints = np.random.default_rng(0).uniform(2, 44, (3, 17, 2)).round(2)
    valid = np.ones((3, 17), dtype=bool)
    valid[2, 5:] = False
    scores = np.where(valid, 0.5, 0.0)
    keypoints = np.where(valid[..., None], keypoints, 0.0)
    return Poses(keypoints, scores, valid, ("a", "a", "b"), np.array([0.9, 0.8, 0.7]), COCO)


def use_poses(name: str, options: tuple[str, ...], folder: Path) -> None:
    """What is done with a file of poses: all that reads one, and what writes it again."""
    path = folder / name
    given = [folder / option if option == "photos" else option for option in options]
    refused = []
    for run in (
        partial(command, "inspect", path, *given),
        partial(command, "validate", path, *given),
        partial(_convert, path, folder / "out.json", given),
        partial(_rewrite, path, folder / "photos", _layout(options)),
    ):
        try:
            run()
        except InputError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def _convert(path: Path, output: Path, options: Sequence[object]) -> None:
    command("convert", path, output, "--to", "coco-results", *options)
    read_pose_file(
        output, _layout(options) or read_pose_file(path).poses.skeleton
    )  # what is written can be read
    output.unlink()


def _layout(options: Sequence[object]) -> str | None:
    return str(options[1]) if "--layout" in options else None


def _rewrite(path: Path, photos: Path, layout: str | None) -> None:
    file = read_pose_file(path, layout, photo_size=Hints(images=photos).reading.photo_size)
    if len(file.poses):
        moved = file.poses.with_keypoints(
            np.where(file.poses.valid[..., None], file.poses.keypoints + 1, 0.0)
        )
        file.rewrite(moved, update_boxes=True, keep=range(1, len(moved)))


def make_photos(folder: Path) -> None:
    folder.mkdir()
    for name in "ab":
        cv2.imwrite(str(folder / f"{name}.png"), np.full((SIZE_WH[1], SIZE_WH[0], 3), 99, np.uint8))


def make_poses(format: str, name: str, folder: Path) -> None:
    make_photos(folder / "photos")
    names: dict[ImageId, str] = {"a": "a.png", "b": "b.png"}
    shown = poses()
    if format == "openpose":
        shown = shown.in_layout(match_keypoints(COCO, load_skeleton("body25")))
    if format in FRAMES:
        shown, names = replace(shown, image_ids=(0, 0, 1)), {}
    new = NewFile(shown, ("1", "2", "1"), None, names, lambda _: SIZE_WH)
    write_new_pose_file(folder / name, new, format)


def make_file(write: Callable[[Path], Any], folder: Path) -> None:
    make_photos(folder / "photos")
    write(folder)


def pose_subjects() -> Iterator[Subject]:
    """Every format that can be written anew, and the others as their own tests make them."""
    for known in FORMATS:
        if known.write is not None:
            name = f"poses{known.endings[0]}" if known.one_file else "poses"
            options = () if known.name in ("openpose", *FRAMES) else COCO_OPTIONS
            make = partial(make_poses, known.name, name)
            yield Subject(known.name, make, partial(use_poses, name, options))
    from tests.pose_files.test_hdf5 import write_deeplabcut, write_sleap_analysis, write_sleap_labels

    for name, write in (
        ("a.h5", write_deeplabcut),
        ("b.h5", write_sleap_analysis),
        ("c.slp", write_sleap_labels),
    ):
        yield Subject(
            f"{write.__name__[6:]} in HDF5", partial(make_file, write), partial(use_poses, name, ())
        )
    yield from _made_by_hand()
    yield Subject("mpii", partial(make_file, _write_mpii), partial(use_poses, "d.mat", ()))
    yield Subject("deeplabcut_fixed", partial(make_file, _write_frame), partial(use_poses, "e.h5", ()))


def _made_by_hand() -> Iterator[Subject]:
    """Kinds that posefix does not write anew, or not in this shape."""
    from tests.formats.test_nwb import DATA, made

    landmarks = ("--layout", "blazepose33", "--images", "photos")
    for name, content, options in (
        ("packed results.json.gz", _packed_results(), COCO_OPTIONS),
        ("nested results.json", json.dumps(_rows(nested=True)).encode(), COCO_OPTIONS),
        ("nested annotations.json", json.dumps(_nested_truth()).encode(), ()),
        ("whole body.json", json.dumps(_whole_body()).encode(), ("--layout", "wholebody133")),
        ("mediapipe frames.json", json.dumps(_landmarks()).encode(), landmarks),
        ("mediapipe lines.csv", _landmark_lines().encode(), landmarks),
        ("ndx-pose.nwb", made({"a": DATA, "b": DATA + 1}), ()),
    ):
        make = partial(make_file, partial(_write_bytes, name, content))
        yield Subject(name, make, partial(use_poses, name, options))


def _write_bytes(name: str, content: bytes, folder: Path) -> None:
    (folder / name).write_bytes(content)


def _rows(*, nested: bool = False) -> list[dict[str, Any]]:
    triples = np.concatenate([poses().keypoints, poses().scores[..., None]], axis=-1)
    return [
        {"image_id": "ab"[number // 2], "category_id": 1, "score": 0.5, "bbox": [1, 1, 40, 40],
         "keypoints": one.tolist() if nested else one.ravel().tolist()}
        for number, one in enumerate(triples)
    ]  # fmt: skip


def _packed_results() -> bytes:
    return gzip.compress(json.dumps(_rows()).encode(), mtime=0)


def _nested_truth() -> dict[str, Any]:
    content = truth()
    for one in content["annotations"]:
        one["keypoints"] = np.reshape(one["keypoints"], (-1, 3)).tolist()
    return content


def _whole_body() -> dict[str, Any]:
    content = truth()
    for one in content["annotations"]:
        one.update({"foot_kpts": [9, 8, 2] * 6, "face_kpts": [7, 6, 2] * 68, "face_valid": True})
        one.update({"lefthand_kpts": [5, 4, 1] * 21, "righthand_kpts": [0] * 63})
    return content


def _landmarks() -> list[dict[str, Any]]:
    """A person of MediaPipe in each of two photos."""
    points = [{"x": 0.1 + n / 50, "y": 0.9 - n / 50, "z": -0.25, "visibility": 0.75} for n in range(33)]
    return [{"image": f"{name}.png", "pose_landmarks": [points]} for name in "ab"]


def _landmark_lines() -> str:
    lines = [f"{name}.png,{n},{0.1 + n / 50},{0.9 - n / 50},-0.25,0.75" for name in "ab" for n in range(33)]
    return "\n".join(["image,landmark,x,y,z,visibility", *lines, ""])


def _write_mpii(folder: Path) -> None:
    from scipy.io import savemat
    from tests.formats.test_mpii import annolist

    savemat(folder / "d.mat", {"annolist": annolist(0.5)})


def _write_frame(folder: Path) -> None:
    from tests.formats.test_deeplabcut import fixed_frame

    labels: list[tuple[str, ...]] = [
        ("s", part, c) for part in ("nose", "tail") for c in ("x", "y", "likelihood")
    ]
    (folder / "e.h5").write_bytes(fixed_frame(labels, ["a", "b"], np.full((2, 6), 7.0)))


def photo_subjects() -> Iterator[Subject]:
    for ending, kind in PHOTOS.items():
        yield Subject(
            f"photo {kind}", partial(_make_photo, f"a.{ending}", kind), partial(_use_photo, f"a.{ending}")
        )
    yield Subject("video", _make_video, _use_video)


def _make_photo(name: str, kind: str, folder: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(folder / name, kind, **({"exif": exif} if kind in ("JPEG", "PNG") else {}))


def _use_photo(name: str, folder: Path) -> None:
    decode_reduced(folder / name, 2)
    read_size(folder / name)


def _make_video(folder: Path) -> None:
    writer = cv2.VideoWriter(
        str(folder / "a.mp4"), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, SIZE_WH
    )
    for number in range(3):
        writer.write(np.full((SIZE_WH[1], SIZE_WH[0], 3), 20 * number, np.uint8))
    writer.release()


def _use_video(folder: Path) -> None:
    video = Video(folder / "a.mp4")
    video.read(0)
    video.read(len(video) - 1)


def annotation_subjects() -> Iterator[Subject]:
    yield Subject("annotations", _make_annotations, _use_annotations)
    yield Subject("skeleton", _make_skeleton, lambda folder: command("skeleton", folder / "a.json"))
    yield Subject("profile", _make_profile, _use_profile)
    yield Subject("journal", _make_journal, _use_journal)


def truth() -> dict[str, Any]:
    people = [
        {"id": number, "image_id": number % 2, "category_id": 1, "iscrowd": 0, "bbox": [1, 1, 40, 40], "area": 1600,
         "keypoints": [10 + number, 20, 2] * 17, "num_keypoints": 17}
        for number in range(3)
    ]  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoint_names), "skeleton": [[1, 2]]}
    images = [
        {"id": number, "file_name": f"{name}.png", "width": 64, "height": 48}
        for number, name in enumerate("ab")
    ]
    return {"images": images, "annotations": people, "categories": [category]}


def _make_annotations(folder: Path) -> None:
    make_photos(folder / "photos")
    (folder / "truth.json").write_text(json.dumps(truth()))
    rows = [{"image_id": 0, "category_id": 1, "keypoints": [10, 20, 0.5] * 17, "score": 0.5}]
    (folder / "results.json").write_text(json.dumps(rows))


def _use_annotations(folder: Path) -> None:
    path = folder / "truth.json"
    read_annotations(path)
    command("evaluate", folder / "results.json", "--annotations", path, "--layout", "coco17")
    command("analyze", folder / "results.json", "--annotations", path, "--layout", "coco17")
    use_poses("truth.json", (), folder)


def _make_skeleton(folder: Path) -> None:
    from posefix.skeletons.library import skeleton_text

    (folder / "a.json").write_text(skeleton_text(load_skeleton("lsp14")))


def _make_profile(folder: Path) -> None:
    (folder / "a.json").write_text(json.dumps(load_error_profile("paper").as_dict()))


def _use_profile(folder: Path) -> None:
    profile = load_error_profile(folder / "a.json")
    profile.table(COCO)
    profile.as_dict()


def _make_journal(folder: Path) -> None:
    decision = {"verdict": "accepted", "edits": {"nose": [1.5, 2.0], "left_eye": None}}
    review = Review(poses(), poses(), folder / "a.jsonl", ("a", "b"))
    for version, entry in enumerate(
        ({"step": "decide", "person": 1, "decision": decision}, {"step": "undo"})
    ):
        review.take(entry, version)
    review.close()


def _use_journal(folder: Path) -> None:
    review = Review(poses(), poses(), folder / "a.jsonl", ("a", "b"))
    review.snapshot()
    review.close()


def subjects() -> list[Subject]:
    """All kinds of files; those of training where PyTorch is installed."""
    from importlib.util import find_spec

    kinds = [*pose_subjects(), *photo_subjects(), *annotation_subjects()]
    if find_spec("torch") and find_spec("onnx"):
        from tests.fuzz.models import model_subjects

        kinds += model_subjects()
    return kinds

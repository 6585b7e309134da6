"""JSON packed with gzip: in and out as the text in it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.formats.recorded import moved

from posefix.errors import InputError
from posefix.files import file_ending, file_stem
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import ensure_new_output, read_pose_file, write_new_pose_file, write_pose_file
from posefix.skeletons import load_skeleton

PAIR = load_skeleton("coco17").subset(["left_eye", "right_eye"])
ROW = {"image_id": 1, "category_id": 1, "keypoints": [10.50, 20, 0.5, 30, 40, 0.5], "score": 0.5}


def packed(path: Path, content: Any) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_only_the_numbers_that_changed_are_others(tmp_path: Path) -> None:
    text = json.dumps([ROW]).replace("10.5,", "10.500,")
    file = read_pose_file(packed(tmp_path / "poses.json.gz", text), PAIR)
    assert file.format == "coco-results"
    write_pose_file(tmp_path / "out.json.gz", file, moved(file.poses, 0, 1, 31, 40))
    written = (tmp_path / "out.json.gz").read_bytes()
    assert gzip.decompress(written).decode() == text.replace("30", "31.0")
    write_pose_file(tmp_path / "out.json", file)
    assert (tmp_path / "out.json").read_text() == text
    write_pose_file(tmp_path / "again.json.gz", file, moved(file.poses, 0, 1, 31, 40))
    assert (tmp_path / "again.json.gz").read_bytes() == written  # no time and no name in it
    with pytest.raises(InputError, match=r"expected a name that ends in \.json, .* got \.gz"):
        write_pose_file(tmp_path / "out.gz", file)


def test_a_new_file_is_packed_if_it_is_called_so(tmp_path: Path) -> None:
    file = read_pose_file(packed(tmp_path / "poses.json.gz", [ROW]), PAIR)
    ensure_new_output(tmp_path / "new.json.gz", "coco-results")
    write_new_pose_file(tmp_path / "new.json.gz", file.poses)
    assert json.loads(gzip.decompress((tmp_path / "new.json.gz").read_bytes()))[0]["image_id"] == 1
    with pytest.raises(InputError, match="expected the name of a folder"):
        write_new_pose_file(tmp_path / "new.json.gz", file.poses, "ultralytics")


def test_a_photo_is_called_as_the_file_without_both_endings(tmp_path: Path) -> None:
    instance = {"keypoints": [[1, 2], [3, 4]], "keypoint_scores": [1, 1]}
    assert read_pose_file(packed(tmp_path / "im_1.json.gz", [instance]), PAIR).poses.image_ids == ("im_1",)
    (tmp_path / "many").mkdir()
    packed(tmp_path / "many" / "im_1.json.gz", [instance])
    file = read_pose_file(tmp_path / "many", PAIR)
    assert file.poses.image_ids == ("im_1",)
    write_pose_file(tmp_path / "out", file)
    assert json.loads(gzip.decompress((tmp_path / "out" / "im_1.json.gz").read_bytes())) == [instance]


def test_annotations_may_be_packed(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{**ROW, "id": 1, "keypoints": [1, 2, 2, 3, 4, 2], "bbox": [0, 0, 9, 9]}],
        "categories": [{"id": 1, "keypoints": ["left_eye", "right_eye"]}],
    }
    assert len(read_annotations(packed(tmp_path / "truth.json.gz", content)).people) == 1


def test_damaged_files_and_bombs_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "poses.json.gz", [ROW] * 20)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(
        InputError, match=r"poses\.json\.gz: expected a file packed with gzip, got a damaged one"
    ):
        read_pose_file(path, PAIR, format="coco-results")
    packed(path, "[" + " " * (2**26 + 1) + "]")
    with pytest.raises(InputError, match=r"unpacks to more than 200 times its size"):
        read_pose_file(path, PAIR, format="coco-results")


@pytest.mark.parametrize(
    ("name", "stem", "ending"),
    [
        ("a.json", "a", ".json"),
        ("a.b.JSON.GZ", "a.b", ".json.gz"),
        ("a", "a", ""),
        ("a.gz", "a", ".gz"),
        (".gz", ".gz", ""),
    ],
)
def test_names_have_one_ending_or_two(name: str, stem: str, ending: str) -> None:
    assert (file_stem(f"x.y/{name}"), file_ending(f"x.y/{name}")) == (stem, ending)

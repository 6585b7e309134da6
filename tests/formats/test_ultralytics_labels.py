from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.recorded import PAIR, contents_of, moved, read, recorded, refusal, saved, try_everything

from posefix.formats.ultralytics_labels import FORMAT
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile, PoseFile, Source
from posefix.skeletons import load_skeleton

THREE = load_skeleton("coco17").subset(["left_eye", "right_eye", "nose"])
# What Results.save_txt of Ultralytics 8.4 wrote for two people at known places of a photo of 640 x 480, without
# save_conf and with it.
PLAIN = """0 0.312891 0.46901 0.311719 0.728646 0.234766 0.167708 0.99 0.250195 0.15625 0.4
0 0.0546875 0.114583 0.078125 0.145833 0 0 0.1 0.0625 0.0625 0.6
"""
WITH_CONFIDENCE = """0 0.312891 0.46901 0.311719 0.728646 0.234766 0.167708 0.99 0.250195 0.15625 0.4 0.91
0 0.0546875 0.114583 0.078125 0.145833 0 0 0.1 0.0625 0.0625 0.6 0.5
"""


def size(image_id: Any) -> tuple[int, int]:
    return 640, 480


@pytest.mark.parametrize("text", [PLAIN, WITH_CONFIDENCE], ids=["plain", "confidence"])
def test_labels_become_arrays_in_pixels(tmp_path: Path, text: str) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.txt", text), PAIR, size)
    places = np.array([[[150.25, 80.5], [160.125, 75]], [[0, 0], [40, 30]]])
    assert file.poses.keypoints == pytest.approx(places, abs=0.0005)
    assert file.poses.valid.tolist() == [[True, True], [False, True]]
    assert file.poses.scores.tolist() == [[0.99, 0.4], [0.1, 0.6]]
    assert file.poses.pose_scores.tolist() == ([1, 1] if text == PLAIN else [0.91, 0.5])
    assert file.poses.image_ids == ("im", "im")
    assert file.boxes == pytest.approx(np.array([[100.5, 50.25, 199.5, 349.75], [10, 20, 50, 70]]), abs=0.001)
    assert file.tracks is None


COLUMNS = [
    ("0 .5 .5 .2 .2 .1 .2 .3 .4 .5 .6", 2, None, 1.0),
    ("0 .5 .5 .2 .2 .1 .2 .3 .4 .5 .6 .25", 2, None, 0.25),
    ("0 .5 .5 .2 .2 .1 .2 .3 .4 .5 .6 7", 2, 7, 1.0),
    ("0 .5 .5 .2 .2 .1 .2 .3 .4 .5 .6 .25 7", 2, 7, 0.25),
    ("0 .5 .5 .2 .2 .1 .2 .9 .3 .4 1 .5 .6 2", 3, None, 1.0),
    ("0 .5 .5 .2 .2 .1 .2 .9 .3 .4 1 .5 .6 2 .25 7", 3, 7, 0.25),
]


@pytest.mark.parametrize(("line", "each", "track", "confidence"), COLUMNS)
def test_the_number_of_columns_says_what_they_hold(
    tmp_path: Path, line: str, each: int, track: int | None, confidence: float
) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.txt", line), THREE, size)
    assert file.poses.keypoints[0] == pytest.approx(np.array([[64, 96], [192, 192], [320, 288]]))
    assert file.poses.scores[0].tolist() == ([1, 1, 1] if each == 2 else [0.9, 1, 2])
    assert file.tracks == (None if track is None else (track,))
    assert file.poses.pose_scores.tolist() == [confidence]
    assert file.notes[0].startswith(f"{each} numbers for each keypoint")
    assert file.has_scores == (each == 3 or confidence != 1)


ANNOTATED = "0 .5 .5 .2 .2 .1 .2 2 .3 .4 1 0 0 0\n"


def test_annotations_have_visibilities_and_no_scores(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.txt", ANNOTATED), THREE, size)
    assert file.poses.scores.tolist() == [[1, 1, 0]] and not file.has_scores
    assert file.poses.valid.tolist() == [[True, True, False]]
    assert (
        file.notes[1]
        == "the third numbers are visibilities 0, 1 or 2, as in annotations: no scores are written"
    )


def test_visibilities_stay_and_that_of_a_filled_in_keypoint_follows_its_score(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.txt", ANNOTATED), THREE, size)
    poses = moved(moved(file.poses, 0, 1, 320, 240), 0, 2, 64, 96)
    poses = poses.with_keypoints(
        poses.keypoints, np.array([[False, True, True]]), scores=np.full((1, 3), 0.25)
    )
    assert file.rewrite(poses) == {"": b"0 .5 .5 .2 .2 0 0 0 0.5 0.5 1 0.1 0.2 1\n"}
    likely = poses.with_keypoints(poses.keypoints, scores=np.full((1, 3), 0.5))
    assert file.rewrite(likely) == {"": b"0 .5 .5 .2 .2 0 0 0 0.5 0.5 1 0.1 0.2 2\n"}
    same = file.poses.with_keypoints(file.poses.keypoints, scores=np.full((1, 3), 0.25))
    assert file.rewrite(same) == {"": ANNOTATED.encode()}


@pytest.mark.parametrize("line", [ANNOTATED.replace("2 .3", ".9 .3"), ANNOTATED.replace("\n", " .5")])
def test_scores_that_look_like_visibilities_are_scores(tmp_path: Path, line: str) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.txt", line), THREE, size)
    assert file.poses.scores.tolist() == [[float(line.split()[7]), 1, 0]]
    assert len(file.notes) == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_files_that_nothing_changed_are_equal(tmp_path: Path, newline: str, end: str) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "a.txt").write_bytes(
        (PLAIN.rstrip() + end).replace("\n", newline).replace("0.15625 0.4", "0.156250   0.40 ").encode()
    )
    (folder / "nobody.txt").write_bytes(b"")
    file = read(FORMAT, folder, PAIR, size)
    assert file.rewrite(file.poses, update_boxes=True) == contents_of(folder)


def test_only_the_numbers_of_a_moved_keypoint_change(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.txt", WITH_CONFIDENCE), PAIR, size)
    x = file.poses.keypoints[0, 1, 0] + 0.0004
    assert file.rewrite(moved(file.poses, 0, 1, x, 120))[""].decode() == WITH_CONFIDENCE.replace(
        "0.15625", "0.25", 1
    )


def test_labels_without_scores_stay_without(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.txt", "0 .5 .5 .2 .2 .1 .2 .3 .4"), PAIR, size)
    poses = moved(file.poses, 0, 1, 320, 240)
    poses = poses.with_keypoints(poses.keypoints, scores=poses.scores * 0.5)
    assert file.rewrite(poses) == {"": b"0 .5 .5 .2 .2 .1 .2 0.5 0.5"}


def test_boxes_and_confidence_follow_if_asked(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.txt", WITH_CONFIDENCE), PAIR, size)
    poses = moved(moved(file.poses, 0, 0, 160, 180), 0, 1, 480, 300)
    words = file.rewrite(poses, update_boxes=True)[""].decode().split("\n")[0].split()
    assert words[:5] == ["0", "0.5", "0.5", "0.6", "0.3"]
    assert words[-1] == "0.91"
    rescored = file.poses.with_keypoints(file.poses.keypoints, scores=file.poses.scores * 0.5)
    words = file.rewrite(rescored, update_boxes=True)[""].decode().split("\n")[0].split()
    assert words[:5] == WITH_CONFIDENCE.split()[:5]


def test_people_can_be_taken_out(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.txt", PLAIN), PAIR, size)
    assert file.rewrite(file.poses, keep=[1])[""].decode() == PLAIN.splitlines(keepends=True)[1]
    assert file.rewrite(file.poses, keep=[]) == {"": b""}


@pytest.mark.parametrize(
    ("name", "content", "recognised"),
    [
        ("im.txt", PLAIN, True),
        ("labels", {"a.txt": "", "b.txt": PLAIN, "classes.txt": "person\n"}, True),
        ("labels", {"a.txt": "", "classes.txt": "person\n"}, False),
        ("im.txt", "0 0.5 0.5 0.2 0.2\n", False),  # boxes alone
        ("im.txt", "person 0.5 0.5 0.2 0.2 0.1 0.2 0.3\n", False),
        ("im.txt", "0 320 240 20 20 1 2 3\n", False),
        ("im.json", PLAIN, False),
    ],
)
def test_files_are_recognised_with_a_reason(
    tmp_path: Path, name: str, content: Any, recognised: bool
) -> None:
    reason = FORMAT.recognise(Source(recorded(tmp_path / name, content)))
    assert reason == ("lines of class, box and keypoints as shares of the photo" if recognised else None)


GOOD = "0 .5 .5 .2 .2 .1 .2 .3 .4"
FAULTS = [
    (f"{GOOD}\n{GOOD} .1 .2 .3 .4", "im.txt, line 2: expected 9 columns as in"),
    (f"\n{GOOD}\n0 .5 .5 .2 .2 .1 .2 .3 nan", "im.txt, line 3, column 8: expected a number, got 'nan'."),
    ("0 .5 .5 .2 .2 .1 .2 .3 1_0", "line 1, column 8: expected a number, got '1_0'."),
    ("person .5 .5 .2 .2 .1 .2 .3 .4", "line 1, column 0: expected the number of a class, got 'person'."),
    ("1.5 .5 .5 .2 .2 .1 .2 .3 .4", "line 1, column 0: expected the number of a class, got '1.5'."),
    (
        f"{GOOD}\n0 .5 .5 .2 .2 64 96 .3 .4",
        "line 2: expected shares of the photo's width and height, from 0 to 1, got 64; divide pixels by them.",
    ),
    (
        "0 320 240 20 20 .1 .2 .3 .4",
        "line 1: expected shares of the photo's width and height, from 0 to 1, got 320;",
    ),
    (
        "0 .5 .5 .2 .2 .1 .2",
        "line 1: expected class, box and 2 keypoints of 2 or 3 numbers, 9 or 11 columns (--layout) and maybe "
        "confidence and track, got 7; no packaged layout has 1 keypoint,",
    ),
    (f"{GOOD} .1 .2 .5 1.5", "line 1, column 12: expected a whole number, the track, got 1.5."),
]


@pytest.mark.parametrize(("text", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_faults_are_named_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    path = recorded(tmp_path / "im.txt", text)
    assert message in refusal(FORMAT, path, PAIR, size)


def test_layout_photos_and_files_are_asked_for(tmp_path: Path) -> None:
    path = recorded(tmp_path / "im.txt", PLAIN)
    with pytest.raises(FormatError, match=r"never guessed; no packaged layout has 2 or 3 keypoints, give"):
        read(FORMAT, path)
    columns = recorded(
        tmp_path / "coco.txt", "0 " + " ".join([".5"] * (4 + 51))
    )  # or 25 with two numbers, and a score
    with pytest.raises(
        FormatError, match="with 17 or 25 keypoints it may be coco17 or posetrack18 or body25"
    ):
        read(FORMAT, columns)
    with pytest.raises(FormatError, match=r"only the photos tell; name their folder \(--images\)\.$"):
        read(FORMAT, path, PAIR)
    with pytest.raises(FormatError, match=r"expected a folder with label files \(\.txt\), got none\.$"):
        read(FORMAT, recorded(tmp_path / "empty", {}), PAIR, size)


def test_class_names_beside_the_labels_are_left_out(tmp_path: Path) -> None:
    path = recorded(tmp_path / "labels", {"a.txt": PLAIN, "classes.txt": "person\n"})
    file = read(FORMAT, path, PAIR, size)
    assert file.notes[1] == "classes.txt holds no labels and is left out"
    assert list(file.rewrite(file.poses)) == ["a.txt"]


def test_a_file_of_bytes_is_told(tmp_path: Path) -> None:
    (tmp_path / "im.txt").write_bytes(b"\xff\xfe\x00")
    assert FORMAT.recognise(Source(tmp_path / "im.txt")) is None
    with pytest.raises(FormatError, match="expected a text file with labels, got something unreadable"):
        read(FORMAT, tmp_path / "im.txt", PAIR, size)


ODD_WORDS = ["", "a", "-", ".", "1e400", "inf", "-1", "99", "0.5", "\u0661", "\x0b", "1e-7", "\n", "é"]


@settings(max_examples=50, deadline=None)
@given(place=st.integers(0, 23), word=st.sampled_from(ODD_WORDS), cut=st.integers(0, 160))
def test_a_faulty_file_is_refused_in_one_sentence(
    tmp_path_factory: Any, place: int, word: str, cut: int
) -> None:
    words = WITH_CONFIDENCE.replace("\n", " \n").split(" ")
    words[place] = word
    path = recorded(tmp_path_factory.mktemp("mutated") / "im.txt", " ".join(words)[:cut])
    try_everything(FORMAT, path, PAIR, size)


def test_new_files_read_as_they_were_written(tmp_path: Path) -> None:
    source = read(FORMAT, recorded(tmp_path / "im.txt", WITH_CONFIDENCE), PAIR, size)
    assert FORMAT.write is not None
    contents = FORMAT.write(NewFile(source.poses, (4, 5), source.boxes, photo_size=size))
    assert list(contents) == ["im.txt"]
    file = read(FORMAT, saved(tmp_path / "new", contents), PAIR, size)
    assert file.poses.keypoints == pytest.approx(source.poses.keypoints, abs=0.001)
    assert file.poses.valid.tolist() == source.poses.valid.tolist()
    assert file.poses.pose_scores.tolist() == [0.91, 0.5]
    assert file.boxes == pytest.approx(source.boxes, abs=0.001)
    assert file.tracks == (4, 5)


def test_new_files_need_the_photos(tmp_path: Path) -> None:
    poses = read(FORMAT, recorded(tmp_path / "im.txt", PLAIN), PAIR, size).poses
    assert FORMAT.write is not None
    with pytest.raises(FormatError, match=r"only the photos tell; name their folder \(--images\)\.$"):
        FORMAT.write(NewFile(poses))


def again(path: Path, new: NewFile) -> PoseFile:
    """New files as they are read."""
    assert FORMAT.write is not None
    return read(FORMAT, saved(path, FORMAT.write(replace(new, photo_size=size))), new.poses.skeleton, size)


def scored(pose_scores: list[float], scores: float = 0.25, width: float = 320.0) -> Poses:
    """People of one photo."""
    shape = (len(pose_scores), len(PAIR))
    places = np.full((*shape, 2), width)
    return Poses(
        places,
        np.full(shape, scores),
        np.ones(shape, np.bool_),
        ("im",) * shape[0],
        np.array(pose_scores),
        PAIR,
    )


@pytest.mark.parametrize("scores", [1.0, 0.25, 3.0])
def test_confidences_of_1_are_no_tracks(tmp_path: Path, scores: float) -> None:
    poses = scored([1.0, 0.99999999], scores)
    file = again(tmp_path / "new", NewFile(poses))
    assert file.tracks is None
    assert file.poses.pose_scores.tolist() == [1, 1]
    assert np.array_equal(file.poses.scores, poses.scores)
    file = again(tmp_path / "tracked", NewFile(poses, (8, 9)))
    assert file.tracks == (8, 9)
    assert np.array_equal(file.poses.scores, poses.scores)


@pytest.mark.parametrize("tracks", [(8, 9), (None, 9)])
def test_labels_to_train_on_have_no_tracks_and_no_confidences(
    tmp_path: Path, tracks: tuple[int | None, ...]
) -> None:
    poses, visibility = scored([1.0, 0.0], 1.0), np.array([[1.0, 2.0], [2.0, 2.0]])
    file = again(tmp_path / "new", NewFile(poses, tracks, visibility=visibility))
    assert (file.tracks, file.has_scores) == (None, False)
    assert file.visibility is not None and np.array_equal(file.visibility, visibility)


def test_confidences_that_are_not_all_whole_numbers_are_written(tmp_path: Path) -> None:
    file = again(tmp_path / "new", NewFile(scored([1.0, 0.5, 3.0])))
    assert (file.tracks, file.poses.pose_scores.tolist()) == (None, [1, 0.5, 3])


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (NewFile(scored([1.0, 2.0])), r"tracks, and person 1 has 2; give the people tracks, or"),
        (NewFile(scored([1e-9, 1.0])), r"tracks, and person 0 has 0; give"),
        (
            NewFile(scored([1.0], 2.0)),
            r"cannot tell keypoint scores that are all 0, 1 or 2 from visibilities",
        ),
        (NewFile(scored([0.5, 0.5]), (None, 4)), r"for all people or for none; person 0 has none; give all"),
    ],
)
def test_what_would_be_read_as_something_else_is_refused(new: NewFile, message: str) -> None:
    assert FORMAT.write is not None
    with pytest.raises(FormatError, match=message):
        FORMAT.write(replace(new, photo_size=size))


def test_a_keypoint_that_is_there_is_never_written_as_missing(tmp_path: Path) -> None:
    for name, score in (("positive", 3e-8), ("negative", -3e-8), ("none", 0.0)):
        file = again(tmp_path / name, NewFile(scored([0.5], score)))
        assert file.poses.valid.all()
        assert file.poses.scores.tolist() == ([[0.001] * 2] if name == "none" else [[1e-7] * 2])
    # Of so large a photo a thousandth of a pixel is a share that is rounded to 0.
    new = NewFile(scored([0.5], width=0.0), photo_size=lambda _: (30000, 30000))
    assert FORMAT.write is not None
    contents = FORMAT.write(new)
    file = read(FORMAT, saved(tmp_path / "large", contents), PAIR, lambda _: (30000, 30000))
    assert file.poses.valid.all()
    assert file.rewrite(moved(file.poses, 0, 1, 0, 0)) == contents

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.formats.mutations import damaged_texts
from tests.formats.recorded import contents_of, moved, read, recorded, refusal, saved, try_everything

from posefix.formats.sleap_csv import FORMAT
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile, Source
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
TEXT = """track,frame_idx,instance.score,nose.x,nose.y,nose.score,"tail, tip.x","tail, tip.y","tail, tip.score"
one,0,2.10,150.50,60.0,0.900,170.0,200.0,0.8
"two, 2",0,1.5,10,20,0.5,,,
one,3,nan,205.93,187.88,,278.63,203.36,
,4,,nan,nan,nan,,,
"""


def changed(contents: Any) -> str:
    return str(contents[""].decode())


def test_a_row_is_an_animal_in_a_frame(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "a.analysis.csv", TEXT))
    poses = file.poses
    assert poses.skeleton.keypoint_names == ("nose", "tail, tip")
    assert poses.image_ids == (0, 0, 3)
    assert poses.keypoints[:2].tolist() == [[[150.5, 60], [170, 200]], [[10, 20], [0, 0]]]
    assert poses.valid.tolist() == [[True, True], [True, False], [True, True]]
    assert poses.scores.tolist() == [[0.9, 0.8], [0.5, 1], [1, 1]]
    assert poses.pose_scores.tolist() == [2.1, 1.5, 1]
    assert file.tracks == ("one", "two, 2", "one")
    assert file.has_scores


def test_without_tracks_and_scores(tmp_path: Path) -> None:
    file = read(
        FORMAT, recorded(tmp_path / "a.csv", "track,frame_idx,instance.score,A.x,A.y,A.score\n,0,nan,1,2,\n")
    )
    assert (file.tracks, file.has_scores) == (None, False)
    file = read(
        FORMAT, recorded(tmp_path / "b.csv", "frame_idx,track,score,A.score,A.x,A.y\n7,t,.5,.25,1,2\n")
    )
    assert (file.tracks, file.poses.scores.tolist(), file.poses.pose_scores.tolist()) == (
        ("t",),
        [[0.25]],
        [0.5],
    )
    assert read(FORMAT, recorded(tmp_path / "c.csv", "frame_idx,A.x,A.y\n7,1,2\n")).poses.image_ids == (7,)


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT.rstrip("\n")])
def test_only_what_moved_is_rewritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    file = read(FORMAT, path)
    assert file.rewrite(file.poses, update_boxes=True) == contents_of(path)
    assert changed(file.rewrite(moved(file.poses, 0, 0, 151.23456, 60.0004))) == text.replace(
        "150.50", "151.235"
    )
    poses = file.poses
    scores, rated = poses.scores.copy(), poses.pose_scores.copy()
    scores[:, 0], rated[:] = 0.25, 0.75
    new = Poses(poses.keypoints, scores, poses.valid, poses.image_ids, rated, poses.skeleton)
    expected = (
        text.replace("0.900", "0.25")
        .replace("20,0.5,", "20,0.25,")
        .replace("2.10", "0.75")
        .replace("1.5,10", "0.75,10")
    )
    assert changed(file.rewrite(new)) == expected


def test_nodes_and_animals_come_and_go_as_cells(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "a.csv", TEXT))
    keypoints, valid, scores = file.poses.keypoints.copy(), file.poses.valid.copy(), file.poses.scores.copy()
    valid[0, 0], valid[1, 1], keypoints[1, 1], scores[1, 1] = False, True, (7, 8.5), 0.5
    written = changed(file.rewrite(file.poses.with_keypoints(keypoints, valid, scores), keep=[0, 1]))
    expected = TEXT.replace("150.50,60.0,0.900", ",,").replace("0.5,,,", "0.5,7.0,8.5,0.5")
    assert written == expected.replace("205.93,187.88,,278.63,203.36,", ",,,,,")


def test_other_columns_pass_through_and_are_noted(tmp_path: Path) -> None:
    lines = [
        f"{line},{more}" for line, more in zip(TEXT.splitlines(), ("nose.var", "1", "", "x", ""), strict=True)
    ]
    file = read(FORMAT, recorded(tmp_path / "a.csv", "\n".join([*lines, ""])))
    assert file.notes == ("columns that pass through: nose.var",)
    assert file.rewrite(file.poses) == contents_of(tmp_path / "a.csv")
    assert not read(FORMAT, recorded(tmp_path / "b.csv", TEXT)).notes


def test_a_new_file_may_hold_nobody(tmp_path: Path) -> None:
    nobody = Poses(np.zeros((0, 17, 2)), np.zeros((0, 17)), np.zeros((0, 17), bool), (), np.zeros(0), COCO)
    assert FORMAT.write is not None
    again = read(FORMAT, saved(tmp_path / "new.csv", FORMAT.write(NewFile(nobody)))).poses
    assert (len(again), again.skeleton) == (0, COCO)


def test_a_new_file_is_read_as_it_was(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    valid = generator.uniform(size=(4, 17)) < 0.8
    places, scores = generator.uniform(0, 99, (4, 17, 2)).round(3), generator.uniform(0, 1, (4, 17))
    poses = Poses(places, scores, valid, (5, 5, 0, 7), generator.uniform(size=4), COCO)
    assert FORMAT.write is not None
    file = read(
        FORMAT, saved(tmp_path / "new.csv", FORMAT.write(NewFile(poses, tracks=("a, b", None, 3, None))))
    )
    assert (file.poses.skeleton, file.poses.image_ids) == (COCO, poses.image_ids)
    assert np.array_equal(file.poses.valid, valid)
    assert np.array_equal(file.poses.keypoints[valid], places[valid])
    assert np.array_equal(file.poses.scores[valid], scores[valid])
    assert np.array_equal(file.poses.pose_scores, poses.pose_scores)
    assert file.tracks == ("a, b", None, "3", None)
    named = Poses(places, scores, valid, ("a", "b", "c", "d"), np.ones(4), COCO)
    with pytest.raises(FormatError, match="expected image ids that are whole numbers from 0"):
        FORMAT.write(NewFile(named))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("60.0,", "x,", "line 2, column 'nose.y': expected a number or an empty cell, got 'x'"),
        ("60.0,", "1e15,", "line 2, column 'nose.y': expected a number or an empty cell, got '1e15'"),
        ("one,3", "one,3.5", "line 4, column 'frame_idx': expected the number of a frame"),
        ("nose.y", "nose.z", "line 1: expected a column nose.y, got none"),
        ("nose.y", "nose.x", "line 1: expected names, each once, with 'frame_idx' among them"),
        ("60.0,", "60.0,1,", "line 2: expected 9 cells, got 10"),
    ],
)
def test_faults_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in refusal(FORMAT, recorded(tmp_path / "a.csv", TEXT.replace(old, new)))


def test_other_tables_are_not_of_sleap(tmp_path: Path) -> None:
    for name, text in (("a.csv", "scorer,D,D\n"), ("b.csv", "frame_idx,x\n"), ("c.txt", TEXT), ("d.csv", "")):
        assert FORMAT.recognise(Source(recorded(tmp_path / name, text))) is None
    assert "are not those of layout 'coco17'" in refusal(FORMAT, recorded(tmp_path / "e.csv", TEXT), COCO)


@given(text=damaged_texts(TEXT))
@settings(max_examples=150, deadline=None)
def test_faulty_files_are_refused_in_words(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(text.encode())
    try_everything(FORMAT, path)

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.formats.mutations import damaged_texts
from tests.formats.recorded import contents_of, moved, read, recorded, refusal, saved, try_everything

from posefix.formats.cvat import FORMAT
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile, Reading, Source
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
TEXT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <name>night &amp; day</name>
      <labels>
        <label><name>person</name><type>skeleton</type><attributes></attributes></label>
        <label>
          <name>nose</name>
          <attributes><attribute><name>sure</name></attribute></attributes>
          <parent>person</parent>
        </label>
        <label><name>Left Eye</name><type>points</type><parent>person</parent></label>
        <label><name>right_eye</name><type>points</type><parent>person</parent></label>
        <label><name>tail</name><type>points</type><parent>dog</parent></label>
      </labels>
    </task>
  </meta>
  <image id="0" name="day/a &amp; b.png" width="300" height="400">
    <box label="car" source="manual" occluded="0" xtl="1.00" ytl="2.00" xbr="3.00" ybr="4.00" z_order="0"></box>
    <skeleton label="person" source="manual" z_order="0">
      <points label="Left Eye" source="manual" outside="0" occluded="1" points="158.00,52.50">
        <attribute name="sure">yes</attribute>
      </points>
      <points label="nose" points='150.0,60.00' occluded="0"/>
      <points label="right_eye" source="manual" outside="1" occluded="0" points="142.00,52.00">
      </points>
      <attribute name="id">7</attribute>
    </skeleton>
    <skeleton label="person" source="manual" z_order="0">
      <points label="nose" source="manual" outside="0" occluded="0" points="10.00,20.00"></points>
    </skeleton>
  </image>
  <image id="1" name="empty.png" width="300" height="400">
  </image>
</annotations>
"""


def changed(contents: Any) -> str:
    return str(contents[""].decode())


def test_pixels_from_the_edge_become_pixels_from_the_first_centre(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "annotations.xml", TEXT))
    poses = file.poses
    assert poses.skeleton.keypoint_names == ("nose", "left_eye", "right_eye")  # as the task's labels
    assert poses.image_ids == ("day/a & b.png",) * 2
    assert poses.keypoints[0, :2].tolist() == [[149.5, 59.5], [157.5, 52]]
    assert poses.valid.tolist() == [[True, True, False], [True, False, False]]
    assert not file.has_scores


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT, TEXT.replace("\n", "")])
def test_only_what_moved_is_rewritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "annotations.xml"
    path.write_bytes(text.encode())
    file = read(FORMAT, path)
    assert file.rewrite(file.poses, update_boxes=True) == contents_of(path)
    assert changed(file.rewrite(moved(file.poses, 0, 0, 149.5, 61.12349))) == text.replace(
        "150.0,60.00", "150.0,61.623"
    )
    assert changed(file.rewrite(moved(file.poses, 0, 1, 157.0, 52.0004))) == text.replace(
        "158.00,52.50", "157.5,52.50"
    )


def test_keypoints_come_and_go(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "annotations.xml", TEXT))
    keypoints, valid = file.poses.keypoints.copy(), file.poses.valid.copy()
    valid[0], keypoints[0, 2] = (False, True, True), (7, 8.25)  # nose gone, right eye filled in
    valid[1, 1], keypoints[1, 1] = True, (1, 2)
    written = changed(file.rewrite(file.poses.with_keypoints(keypoints, valid)))
    expected = TEXT.replace('occluded="0"/>', 'occluded="0" outside="1"/>')
    expected = expected.replace(
        'outside="1" occluded="0" points="142.00,52.00"', 'outside="0" occluded="0" points="7.5,8.75"'
    )
    new = '<points label="Left Eye" source="auto" outside="0" occluded="0" points="1.5,2.5"></points>'
    expected = expected.replace(
        'points="10.00,20.00"></points>', f'points="10.00,20.00"></points>\n      {new}'
    )
    assert written == expected
    again = read(FORMAT, recorded(tmp_path / "again.xml", written)).poses
    assert np.array_equal(again.valid, valid)


def test_what_is_occluded_is_hidden_and_stays_so_in_a_new_file(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "annotations.xml", TEXT))
    assert file.visibility is not None
    assert file.visibility.tolist() == [[2, 1, 0], [2, 0, 0]]
    assert FORMAT.write is not None
    new = saved(tmp_path / "new.xml", FORMAT.write(NewFile(file.poses, visibility=file.visibility)))
    again = read(FORMAT, new).visibility
    assert again is not None
    assert again.tolist() == file.visibility.tolist()


def test_skeletons_with_other_keypoints_are_chosen_by_their_label(tmp_path: Path) -> None:
    dog = '<skeleton label="dog"><points label="nose" points="9,9"/><points label="tail" points="5,6"/></skeleton>'
    path = recorded(tmp_path / "annotations.xml", TEXT.replace("  </image>", f"    {dog}\n  </image>", 1))
    told = refusal(FORMAT, path)
    assert "expected skeletons with the same keypoints, got person (3 keypoints), dog (2 keypoints)" in told
    assert "choose one of them (--category 'person')" in told
    file = FORMAT.read(Source(path), Reading(category="person"))
    assert (len(file.poses), file.poses.skeleton.keypoint_names) == (2, ("nose", "left_eye", "right_eye"))
    assert file.left_out == ("skeletons of other labels, left as they are: 1 (dog 1)",)
    assert file.rewrite(file.poses) == contents_of(path)
    with pytest.raises(
        FormatError, match=r"there is no skeleton 'cat' \(--category\); expected one of person, dog"
    ):
        FORMAT.read(Source(path), Reading(category="cat"))
    rider = TEXT.replace(
        'label="person" source="manual" z_order="0">\n      <points label="nose"',
        'label="rider"><points label="nose"',
    )
    assert "rider" in rider
    alone = FORMAT.read(Source(recorded(tmp_path / "riders.xml", rider)), Reading())
    assert alone.left_out == ("skeletons of other labels, left as they are: 1 (rider 1)",)
    walkers = recorded(tmp_path / "walkers.xml", rider.replace('label="person"', 'label="walker"'))
    both = FORMAT.read(Source(walkers), Reading())
    assert (len(both.poses), both.left_out) == (2, ())
    assert "skeletons have several labels, and all are read as of one layout" in both.notes[-1]


def test_people_taken_out_take_their_element_along(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "annotations.xml", TEXT))
    start, end = TEXT.index("    <skeleton"), TEXT.index("</skeleton>") + 12
    assert changed(file.rewrite(file.poses, keep=[1])) == TEXT[:start] + TEXT[end:]


def test_skeletons_without_a_keypoint_of_the_layout_are_no_people(tmp_path: Path) -> None:
    text = TEXT.replace('label="nose" source', 'label="tail" source')
    path = recorded(tmp_path / "annotations.xml", text)
    file = read(FORMAT, path, COCO)
    assert (len(file.poses), file.poses.skeleton) == (1, COCO)
    assert file.rewrite(file.poses) == contents_of(path)
    assert "are none of layout 'mpii16'" in refusal(FORMAT, path, load_skeleton("mpii16"))


def test_a_new_file_is_read_as_it_was(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    valid = generator.uniform(size=(3, 17)) < 0.8
    valid[0] = True
    places = generator.uniform(0, 99, (3, 17, 2)).round(3)
    poses = Poses(places, valid.astype(float), valid, ("a & b.jpg", "a & b.jpg", "c"), np.ones(3), COCO)
    assert FORMAT.write is not None
    file = read(
        FORMAT, saved(tmp_path / "new.xml", FORMAT.write(NewFile(poses, photo_size=lambda _: (100, 90))))
    )
    assert (file.poses.skeleton, file.poses.image_ids) == (COCO, poses.image_ids)
    assert np.array_equal(file.poses.valid, valid)
    assert np.allclose(file.poses.keypoints[valid], places[valid], atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<annotations>", '<!DOCTYPE a [<!ENTITY x "y">]><annotations>', "without a document type declaration"),
        ("158.00,52.50", "158.00", "image 'day/a & b.png', skeleton 0, points 'Left Eye': expected a place x,y"),
        ("158.00,52.50", "nan,1", "expected a place x,y in 'points', got 'nan,1'"),
        ('label="nose" points', "points", "expected a 'label' that names the keypoint"),
        ('label="nose" points', 'label="left eye" points', "expected each keypoint of a person once"),
        ("</skeleton>", "", "expected XML, got an error at line 34, column 5: mismatched tag"),
        ('name="day/a &amp; b.png"', "", "image, attribute 'name': expected"),
        ('  <image id="1"', '  <track id="0"></track><image id="1"', "export the task as CVAT for images"),
        ("annotations>", "dataset>", "expected an element 'annotations', got 'dataset'"),
        ("utf-8", "latin-1", "expected XML in UTF-8, got latin-1"),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert message in refusal(FORMAT, recorded(tmp_path / "a.xml", TEXT.replace(old, new)))


def test_nothing_but_skeletons_is_said(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.xml", "<annotations></annotations>")
    file = read(FORMAT, path, COCO)
    assert (len(file.poses), file.notes[1]) == (0, "there are no skeletons")


def test_points_that_no_skeleton_holds_are_told(tmp_path: Path) -> None:
    points = '<points label="nose" points="1.0,2.0"></points>'
    path = recorded(tmp_path / "a.xml", TEXT.replace("</image>", f"{points}</image>"))
    count = TEXT.count("</image>")
    assert read(FORMAT, path, COCO).left_out == (f"points outside of skeletons, left as they are: {count}",)
    alone = f'<annotations><image name="a.jpg">{points}{points}</image></annotations>'
    message = refusal(FORMAT, recorded(tmp_path / "b.xml", alone), COCO)
    assert "expected skeletons, got 2 shapes of points outside of any" in message


@given(text=damaged_texts(TEXT))
@settings(max_examples=150, deadline=None)
def test_faulty_files_are_refused_in_words(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    try_everything(FORMAT, recorded(tmp_path_factory.getbasetemp() / "damaged.xml", text))

"""PCK, AUC, EPE, NME, PCKh: MMPose's numbers, as its functions gave them for the same people and poses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.scenes import Json, mpii_scene, write

from posefix.errors import InputError
from posefix.evaluation.distances import DistanceMetrics, evaluate_pck, evaluate_pckh
from posefix.evaluation.judge import Judge
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_annotated_poses
from posefix.pose.poses import Poses

# keypoint_pck_accuracy at .05, .1 and .2 of the longer side of the box, keypoint_auc(30, 20), keypoint_epe and
# keypoint_nme. MMPose adds distances up in single precision, so that means of them have six digits.
PCK = {
    "made": [
        0.7992460958982663, 0.9415103113145469, 0.9946410625683291, 0.6751533118840017, 10.066788662122208,
        0.030950746774360164,
    ],
    "stacked-hourglass": [
        0.8050380050495809, 0.9256294628544569, 0.970552304776636, 0.49301528553888085, 21.310508728027344,
        0.040966782718896866,
    ],
    "hourglass-s8": [
        0.8192214991821704, 0.9280092894591448, 0.9704521170186677, 0.5162226088027674, 21.66139793395996,
        0.0409560389816761,
    ],
    "hourglass-s1": [
        0.7784013933436933, 0.8976873358666243, 0.9557543361522167, 0.4887007170016276, 25.208900451660156,
        0.047710809856653214,
    ],
    "tompson": [
        0.6518247441827852, 0.7529470917236092, 0.8171434850092323, 0.43063776232838397, 99.00391387939453,
        0.18272946774959564,
    ],
}  # fmt: skip
# The shares by keypoint that keypoint_pck_accuracy gives for head sizes, without pelvis and thorax: grouped and pooled
# as MpiiPCKAccuracy does it, but without its shift of the poses by a pixel; last their mean, as the function says it.
PCKH = {
    "made": [
        0.88, 0.8445283018867924, 0.890715667311412, 0.968519322622666, 0.9030989824236817, 0.8999999999999999,
        0.8701388888888889, 0.8960843373493976, 0.5120481927710844, 0.8964763566381106,
    ],
    "stacked-hourglass": [
        0.9587378640776699, 0.9519270810249819, 0.8913898325424784, 0.8417212480769123, 0.8696552569733893,
        0.8319510282031171, 0.8039252016824845, 0.8840942255576402, 0.21177298311444653, 0.8797620692827227,
    ],
    "hourglass-s8": [
        0.9670596393897365, 0.9519277735304111, 0.9007663653254576, 0.8531602742196349, 0.8748477245335013,
        0.8426349054780662, 0.8074651651521598, 0.8907650614967688, 0.25054721701063165, 0.8863965305629894,
    ],
    "hourglass-s1": [
        0.9518030513176144, 0.9361299357170294, 0.8552454580784072, 0.7956192694802451, 0.8450751441373285,
        0.7827899600995806, 0.7339988963216526, 0.8507661038148843, 0.2325151136126746, 0.8446634497910599,
    ],
    "tompson": [
        0.9559639389736477, 0.927126614922661, 0.83358904426904, 0.7673571584887301, 0.8192832397986823,
        0.7332247723629914, 0.6541432808446175, 0.8230925578486554, 0.2889826975192829, 0.8144675190106528,
    ],
}  # fmt: skip


def check(poses: Poses, annotations: Annotations, name: str) -> None:
    pck, pckh = evaluate_pck(poses, annotations), evaluate_pckh(poses, annotations)
    assert list(pck.as_dict().values()) == pytest.approx(PCK[name], rel=3e-7)
    assert list(pckh.as_dict().values()) == pytest.approx(PCKH[name], rel=1e-14)
    assert (pck.not_found, len(pck.keypoint_names), len(pckh.keypoint_names)) == (0, 16, 14)


def read(tmp_path: Path, truth: Json, rows: list[Json]) -> tuple[Poses, Annotations]:
    annotations = read_annotations(write(tmp_path / "truth.json", truth))
    return read_annotated_poses(write(tmp_path / "rows.json", rows), annotations, "mpii16"), annotations


def test_the_numbers_are_mmpose_s(tmp_path: Path) -> None:
    check(*read(tmp_path, *mpii_scene()), "made")


@pytest.mark.parametrize("name", list(PCK)[1:])
def test_the_numbers_of_real_results_are_mmpose_s(shared_data: Path, name: str) -> None:
    annotations = read_annotations(shared_data / "mpii" / "person_keypoints_valid.json")
    path = shared_data / "mpii" / "predictions" / f"{name}.mpii16.json"
    check(read_annotated_poses(path, annotations, "mpii16"), annotations, name)


@pytest.mark.parametrize("box", [None, [60.0, 60.0, 0.0, 300.0]])
def test_people_without_an_area_are_found_all_the_same(tmp_path: Path, box: list[float] | None) -> None:
    truth, _ = mpii_scene()
    perfect = [
        {key: person[key] for key in ("image_id", "category_id", "keypoints")} | {"score": 1.0}
        for person in truth["annotations"]
    ]
    for person in truth["annotations"]:
        person |= {"area": 0, "bbox": box or person["bbox"]}
    pck, pckh = evaluate_both(*read(tmp_path, truth, perfect))
    assert (pck.not_found, pckh.not_found) == (0, 0)
    assert [pck.as_dict()[name] for name in ("PCK@.05", "EPE px")] == [1, 0]
    assert set(pckh.as_dict().values()) == {1.0}


def test_areas_of_0_change_no_number(tmp_path: Path) -> None:
    truth, rows = mpii_scene()
    for person in truth["annotations"]:
        person["area"] = 0
    check(*read(tmp_path, truth, rows), "made")


def test_head_sizes_choose_pckh(tmp_path: Path) -> None:
    truth, _ = mpii_scene()
    path = write(tmp_path / "truth.json", truth)
    assert (Judge.read(path).metric, Judge.read(path, "pck").metric) == ("pckh", "pck")
    for person in truth["annotations"]:
        del person["head_size"]
    assert Judge.read(write(path, truth)).metric == "coco"


def test_people_whom_nobody_found_are_wrong_in_shares_and_left_out_of_means(tmp_path: Path) -> None:
    truth, rows = mpii_scene()
    everybody = evaluate_pck(*read(tmp_path, truth, rows)).as_dict()
    half = {**truth, "images": truth["images"][:30], "annotations": truth["annotations"][:30]}
    found = evaluate_pck(*read(tmp_path, half, rows[:30])).as_dict()
    metrics = evaluate_pck(*read(tmp_path, truth, rows[:30]))
    values = metrics.as_dict()
    assert (metrics.people, metrics.not_found) == (60, 30)
    assert "without a pose of theirs: 30 of 60 people, wrong in PCK and AUC" in metrics.table()
    assert values["PCK@.2"] < 0.6 * everybody["PCK@.2"]
    assert [values[name] for name in ("EPE px", "NME")] == [found[name] for name in ("EPE px", "NME")]


def test_nothing_found_at_all_has_no_mean_distance(tmp_path: Path) -> None:
    truth, rows = mpii_scene()
    poses, annotations = read(tmp_path, truth, rows)
    values = evaluate_pck(poses[:0], annotations).as_dict()
    assert list(values.values()) == [0, 0, 0, 0, -1, -1]
    assert evaluate_pck(poses[:0], annotations).table().splitlines()[1].split()[-2:] == ["-", "-"]


def test_a_keypoint_exactly_at_the_threshold_is_not_near(tmp_path: Path) -> None:
    truth, rows = mpii_scene()
    person = {**truth["annotations"][0], "head_size": 20.0}
    places = np.reshape(person["keypoints"], (16, 3))
    places[:, 2] = 2
    person["keypoints"] = places.ravel().tolist()
    found = {**rows[0], "keypoints": (places + np.array([10.0, 0, 0])).ravel().tolist()}
    poses, annotations = read(tmp_path, {**truth, "annotations": [person]}, [found])
    assert evaluate_pckh(poses, annotations).as_dict()["PCKh"] == 0
    near = poses.with_keypoints(poses.keypoints - np.array([0.001, 0]))
    assert evaluate_pckh(near, annotations).as_dict()["PCKh"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head_size": None}, r"annotation 3, field 'head_size': expected one, got none, and PCKh is"),
        (
            {"head_size": 0},
            r"annotation 3, field 'head_size': expected one, got one without extent, and PCKh is",
        ),
        (
            {"bbox": [1, 1, 0, 0]},
            r"annotation 3, field 'bbox': expected one, got one without extent, and PCK and",
        ),
    ],
)
def test_people_without_a_unit_are_named(tmp_path: Path, change: Json, message: str) -> None:
    truth, rows = mpii_scene()
    truth["annotations"][2] |= change
    with pytest.raises(InputError, match=message):
        evaluate_both(*read(tmp_path, truth, rows))


def test_a_head_size_that_is_not_there_is_named(tmp_path: Path) -> None:
    truth, rows = mpii_scene()
    del truth["annotations"][2]["head_size"]
    message = "annotation 3, field 'head_size': expected one, got none, and PCKh is measured in head sizes; give it to"
    with pytest.raises(InputError, match=message):
        evaluate_pckh(*read(tmp_path, truth, rows))


def evaluate_both(poses: Poses, annotations: Annotations) -> tuple[DistanceMetrics, DistanceMetrics]:
    return evaluate_pck(poses, annotations), evaluate_pckh(poses, annotations)


def test_all_digits_are_written(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    truth, rows = mpii_scene()
    files = write(tmp_path / "truth.json", truth), write(tmp_path / "rows.json", rows)
    target = tmp_path / "numbers.json"
    code, out, _ = run(
        "evaluate", files[1], "--layout", "mpii16", "--annotations", files[0], "--json", target
    )
    assert code == 0
    assert out.splitlines()[0].split() == [
        "Head", "Shou", "Elb", "Wri", "Hip", "Knee", "Ankl", "PCKh", "PCKh@.1", "Mean",
    ]  # fmt: skip
    assert out.splitlines()[1].split()[-3:] == ["89.6", "51.2", "89.6"]
    content = json.loads(target.read_text())
    assert (content["metric"], len(content["keypoints"])) == ("pckh", 14)
    assert list(content["numbers"].values()) == pytest.approx(PCKH["made"], rel=1e-14)

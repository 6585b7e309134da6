"""The pages of docs/estimators do what they say, with the libraries' own objects where the libraries are installed.

Weights of estimators are downloads, and networks of random weights find nobody. So what a page loads is a network of
random weights, or a line that returns the library's own object made by hand, with people put into it; everything else
on the page is executed as a reader would type it. Libraries that cannot be installed beside the others, Detectron2 and
MMPose, are stand-ins. `pip install -e '.[train,dev,estimators]'` brings the rest; without it their tests are skipped.
"""

from __future__ import annotations

import json
import pickle
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import posefix
from posefix.cli.app import main
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.models import model_names
from posefix.photos.finding import decode_image
from posefix.pose_files.pose_file import NewFile
from tests.estimators import stand_ins

Array = npt.NDArray[Any]
Patch = pytest.MonkeyPatch
FOLDER = Path(__file__).parent.parent / "docs" / "estimators"
PAGES = sorted(FOLDER.glob("*.md"))
COCO = posefix.load_skeleton("coco17")
BLAZEPOSE = posefix.load_skeleton("blazepose33")
PYTHON_LINES = 3
SIZE_WH = (512, 600)
"""Of the sample photo."""
# Page -> path, format and layout of the files that its commands take.
PHOTO_FILES = {
    "ultralytics": [
        ("predictions.json", "coco-results", "coco17"),
        ("labels", "ultralytics-labels", "coco17"),
    ],
    "detectron2": [("coco_instances_results.json", "coco-results", "coco17")],
    "mediapipe": [("poses.json", "coco-results", "blazepose33")],
    "fiftyone": [("labels.json", "coco-annotations", "coco17")],
    "mmpose": [("predictions", "mmpose", "coco17")],
    "openpose": [("output", "openpose", "body25")],
}
needs_model = pytest.mark.skipif(
    DEFAULT_MODEL_NAME not in model_names(), reason="the packaged model is not in this checkout"
)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed (pip install -e '.[estimators]')")


@pytest.fixture(scope="module")
def found() -> Array:
    """(1, 17, 2): the sample photo's person in pixels, shoulders exchanged and head askew."""
    keypoints = [
        (276, 250),
        (303.4, 188.7),
        (222.8, 191.9),
        (402, 258),
        (173.2, 219.6),
        (79.6, 423.1),
        (449.8, 405.7),
        (479, 565),
        (24, 520),
        (330, 558),
        (106, 548),
        (380, 640),
        (120, 640),
        (370, 840),
        (130, 840),
        (360, 1040),
        (140, 1040),
    ]  # from the elbows on, below the photo
    return np.array([keypoints], np.float64)


def sample_photo() -> Path:
    """The portrait in matplotlib's sample data: Rear Admiral Grace Hopper (United States Navy, public domain)."""
    return Path(library("matplotlib").__file__).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: Patch) -> Iterator[Path]:
    """A working folder with a photo of one person, alone, in a folder, and as the first frame of a video."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))  # Ultralytics writes settings when it is imported
    monkeypatch.setenv("YOLO_OFFLINE", "True")
    for name in ("photo.jpg", "photos/photo.jpg", "frames/img0000.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(sample_photo(), name)
    yield tmp_path


def run_page(name: str, **names: Any) -> dict[str, Any]:
    """Execute a page's Python, all of it; the names that it leaves."""
    code = "".join(blocks(FOLDER / f"{name}.md", "python"))
    exec(compile(code, f"{name}.md", "exec"), names)
    return names


def write_poses(path: str, keypoints: Array, format: str, layout: str, image_id: int | str) -> None:
    """A file of one person, in a layout that may have fewer keypoints than COCO's or others."""
    skeleton = posefix.load_skeleton(layout)
    index = [COCO.find(name) for name in skeleton.keypoint_names]
    valid = np.array([[number is not None for number in index]])
    poses = posefix.Poses(
        keypoints=keypoints[:, [number or 0 for number in index]],
        scores=np.where(valid, 0.8, 0.0),
        valid=valid,
        image_ids=(image_id,),
        pose_scores=np.ones(1),
        skeleton=skeleton,
    )
    new = NewFile(poses, file_names={"photo": "photo.jpg"}, photo_size=lambda _: SIZE_WH)
    posefix.write_new_pose_file(path, new, format)


def as_blazepose(keypoints: Array) -> Array:
    """(N, 33, 2): COCO's keypoints where BlazePose has them, the nose elsewhere."""
    index = [COCO.find(name) or 0 for name in BLAZEPOSE.keypoint_names]
    return keypoints[:, index]


def is_mended(after: Any, before: Any) -> bool:
    """Whether two keypoints of those in the photo have gone far: the shoulders, to their own sides."""
    after, before = np.asarray(after, np.float64), np.asarray(before, np.float64)
    far = np.linalg.norm(after - before, axis=-1) > 200
    return bool((far & (before[..., 1] < SIZE_WH[1])).sum() == 2)


# --- the pages as a whole ---


def test_every_estimator_has_a_page_and_a_row() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([a-z0-9]+\.md)\)", readme)) == {path.name for path in PAGES} - {"README.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_it_takes_three_lines(page: Path) -> None:
    code = next(block for block in blocks(page, "python") if "import posefix" in block)
    lines = [line for line in code.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(lines) <= PYTHON_LINES


@needs_model
@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_run(page: Path, found: Array) -> None:
    prepare_files(page.stem, found)
    for command in "".join(blocks(page, "bash")).splitlines():
        words = shlex.split(command)
        assert main(words[1:]) == 0, command
        output = Path(words[words.index("-o") + 1] if "-o" in words else words[3])
        assert output.exists(), command


def prepare_files(name: str, found: Array) -> None:
    """What the commands of a page take."""
    if name == "sleap":
        write_sleap_analysis(Path("analysis.h5"), found)
    elif name == "alphapose":
        triples = np.concatenate([found, np.full((1, 17, 1), 0.8)], axis=-1)
        row = {"image_id": "photo.jpg", "category_id": 1, "keypoints": triples.ravel().tolist(), "score": 2.9}
        rows = [{**row, "box": [0.0, 10.0, 500.0, 590.0], "idx": [0.0]}]
        Path("alphapose-results.json").write_text(json.dumps(rows), encoding="utf-8")
    elif name == "labels":
        write_poses("poses.json", found, "coco-results", "coco17", "photo")
        write_exports(found)
    elif name in {"deeplabcut", "napari"}:
        write_poses("videoDLC_resnet50.csv", found, "deeplabcut", "coco17", 0)
    else:
        for path, format, layout in PHOTO_FILES.get(name, [("poses.json", "coco-results", "coco17")]):
            write_poses(path, found, format, layout, "photo")


def write_exports(found: Array) -> None:
    """What labelling programs export of labels that began as pre-annotations, with what they add to them."""
    write_poses("annotations.xml", found, "cvat", "coco17", "photo")
    labels = "<labels><label><name>person</name><type>skeleton</type></label></labels>"
    task = f"<meta><task><id>7</id>{labels}</task></meta>"
    text = Path("annotations.xml").read_text(encoding="utf-8").replace("</version>", f"</version>\n  {task}")
    Path("annotations.xml").write_text(text.replace('source="auto"', 'source="manual"'), encoding="utf-8")
    write_poses("export.json", found, "label-studio", "coco17", "photo")
    tasks = json.loads(Path("export.json").read_text(encoding="utf-8"))
    for number, one in enumerate(tasks, 1):
        (prediction,) = one["predictions"]
        result = [{**region, "origin": "prediction"} for region in prediction["result"]]
        for region in result:
            region.pop("score", None)  # which annotations do not keep
        annotation = {
            "id": 40 + number,
            "completed_by": 1,
            "was_cancelled": False,
            "lead_time": 61.5,
            "result": result,
        }
        address = f"/data/upload/3/0a1b2c3d-{one['data']['image']}"
        one.update(id=number, annotations=[annotation], drafts=[], data={"image": address}, file_upload="a")
    Path("export.json").write_text(json.dumps(tasks), encoding="utf-8")


def write_sleap_analysis(path: Path, found: Array) -> None:
    """An analysis file of one animal in one frame, in MATLAB's order of axes."""
    h5py = library("h5py")
    with h5py.File(path, "w") as file:
        names = np.array(COCO.keypoint_names, dtype=h5py.string_dtype())
        file["node_names"], file["track_names"] = names, np.array([b"track_0"])
        file["tracks"] = found.transpose(0, 2, 1)[..., None]  # (T, 2, K, F)
        file["track_occupancy"] = np.ones((1, 1), np.uint8)
        file["point_scores"], file["instance_scores"] = np.ones((1, 17, 1)), np.ones((1, 1))


# --- the Python of each page ---


@needs_model
@pytest.mark.usefixtures("desk")
def test_readme(found: Array) -> None:
    predictions = stand_ins.Results(decode_image("photo.jpg"), "photo.jpg", {0: "person"}, None, found)
    names = run_page("README", predictions=predictions, keypoints=found, scores=np.full((1, 17), 0.8))
    assert is_mended(names["refined"].keypoints.data, found)
    assert Path("poses.json").exists()


@needs_model
@pytest.mark.usefixtures("desk")
def test_ultralytics(found: Array, monkeypatch: Patch) -> None:
    ultralytics, torch = library("ultralytics"), library("torch")
    results = library("ultralytics.engine.results")
    data = torch.tensor(np.concatenate([found, np.full((1, 17, 1), 0.8)], axis=-1), dtype=torch.float32)
    photo = decode_image("photo.jpg")[..., ::-1]
    box = torch.tensor([[40.0, 20.0, 470.0, 590.0, 0.9, 0.0]])
    made = results.Results(photo, "photo.jpg", {0: "person"}, boxes=box, keypoints=data.clone())
    _ = made.keypoints.xyn  # cached by the library
    monkeypatch.setattr(ultralytics, "YOLO", lambda weights: lambda photo: [made])
    refined = run_page("ultralytics")["refined"]
    assert type(refined) is results.Results
    assert is_mended(refined.keypoints.xy, data[..., :2])
    assert torch.allclose(refined.keypoints.xyn * torch.tensor(SIZE_WH), refined.keypoints.xy)
    assert torch.equal(made.keypoints.data, data)
    assert torch.equal(refined.keypoints.conf, data[..., 2])
    assert refined.boxes is made.boxes
    assert json.loads(refined.to_json())[0]["keypoints"]["x"][5] == pytest.approx(
        float(refined.keypoints.xy[0, 5, 0]), abs=1e-3
    )


@needs_model
@pytest.mark.usefixtures("desk")
def test_ultralytics_with_a_network_of_random_weights() -> None:
    model = library("ultralytics").YOLO("yolo11n-pose.yaml")
    library("torchvision")  # its non-maximum suppression
    refiner = posefix.Refiner.from_pretrained(threads=1)
    for confidence, people in ((0.0, 2), (0.999999, 0)):
        result = model("photo.jpg", conf=confidence, max_det=2, device="cpu", verbose=False)[0]
        # Its eighty classes have no names, so nobody knows that these are people.
        refined = posefix.refine_predictions(refiner, "photo.jpg", result, skeleton="coco17")
        assert refined.keypoints.data.shape == result.keypoints.data.shape == (people, 17, 3)


@needs_model
@pytest.mark.usefixtures("desk")
def test_transformers(found: Array, monkeypatch: Patch) -> None:
    transformers, torch = library("transformers"), library("torch")
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[256, 192], hidden_size=32, num_hidden_layers=1, num_attention_heads=2, out_indices=[1],
        out_features=None,
    )  # fmt: skip
    model = transformers.VitPoseForPoseEstimation(
        transformers.VitPoseConfig(backbone_config=backbone, num_labels=17)
    ).eval()
    monkeypatch.setattr(
        transformers.AutoProcessor, "from_pretrained", lambda name: transformers.VitPoseImageProcessor()
    )
    monkeypatch.setattr(transformers.VitPoseForPoseEstimation, "from_pretrained", lambda name: model)
    names = run_page("transformers")
    (person,), (refined,) = names["people"], names["refined"]
    assert set(refined) == set(person)
    assert refined["keypoints"].shape == (17, 2)
    # The real list once more, with a person in it who is in the photo.
    person = {**person, "keypoints": torch.tensor(found[0], dtype=torch.float32)}
    (refined,) = posefix.refine_predictions(names["refiner"], names["photo"], [person])
    assert is_mended(refined["keypoints"], found[0])
    assert refined["keypoints"].dtype == torch.float32
    # The page's trap: the box that comes back is not the one that went in.
    left, top, width, height = names["boxes"][0][0]
    centre = torch.tensor([left + width / 2, top + height / 2] * 2)
    assert torch.allclose(refined["bbox"], centre, atol=5)


@needs_model
@pytest.mark.usefixtures("desk")
def test_torchvision(found: Array, monkeypatch: Patch) -> None:
    detection = library("torchvision.models.detection")
    torch = library("torch")
    make = detection.keypointrcnn_resnet50_fpn

    def random_weights(weights: str) -> Any:
        options = {"box_score_thresh": 0.0, "box_detections_per_img": 2, "min_size": 128, "max_size": 160}
        return make(weights=None, weights_backbone=None, **options)

    monkeypatch.setattr(detection, "keypointrcnn_resnet50_fpn", random_weights)
    names = run_page("torchvision")
    output, refined = names["output"], names["refined"]
    assert set(refined) == set(output)
    assert refined["keypoints"].shape == output["keypoints"].shape == (2, 17, 3)
    assert torch.equal(refined["keypoints_scores"], output["keypoints_scores"])
    # The real dictionary once more, with a person in it who is in the photo.
    output["keypoints"][0, :, :2] = torch.tensor(found[0])
    output = {name: values[:1] for name, values in output.items()}  # the other one is nobody
    refined = posefix.refine_predictions(names["refiner"], names["photo"], output)
    assert is_mended(refined["keypoints"][0, :, :2], found[0])
    assert torch.equal(refined["keypoints"][..., 2], output["keypoints"][..., 2])


@needs_model
@pytest.mark.usefixtures("desk")
def test_mediapipe(found: Array, monkeypatch: Patch) -> None:
    library("mediapipe")
    vision = library("mediapipe.tasks.python.vision")
    landmark = library("mediapipe.tasks.python.components.containers.landmark")
    shares = (as_blazepose(found) + 0.5) / SIZE_WH
    person = [landmark.NormalizedLandmark(x, y, 0.1, 0.9) for x, y in shares[0].tolist()]
    made = vision.PoseLandmarkerResult([person], [[landmark.Landmark(0.0, 0.0, 0.0)] * 33])
    landmarker = SimpleNamespace(detect=lambda photo: made)
    monkeypatch.setattr(vision.PoseLandmarker, "create_from_model_path", lambda path: landmarker)
    refined = run_page("mediapipe")["refined"]
    assert type(refined) is vision.PoseLandmarkerResult
    places = np.array([(one.x, one.y) for one in refined.pose_landmarks[0]])
    assert is_mended(places * SIZE_WH, shares[0] * SIZE_WH)
    assert [[one.x, one.y] for one in person] == shares[0].tolist()
    assert {(one.z, one.visibility) for one in refined.pose_landmarks[0]} == {(0.1, 0.9)}


@needs_model
@pytest.mark.usefixtures("desk")
def test_supervision(found: Array, monkeypatch: Patch) -> None:
    supervision = library("supervision")
    scores = np.full((1, 17), 0.8, np.float32)
    made = supervision.KeyPoints(xy=found.astype(np.float32), keypoint_confidence=scores)
    monkeypatch.setattr(supervision.KeyPoints, "from_ultralytics", lambda result: made)
    fake = ModuleType("ultralytics")
    fake.YOLO = lambda weights: lambda photo: [None]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ultralytics", fake)
    names = run_page("supervision")
    assert type(names["refined"]) is supervision.KeyPoints
    assert is_mended(names["refined"].xy, found)
    assert np.array_equal(names["refined"].keypoint_confidence, scores)
    nobody = posefix.refine_predictions(names["refiner"], "photo.jpg", supervision.KeyPoints.empty())
    assert nobody == supervision.KeyPoints.empty()


@needs_model
@pytest.mark.usefixtures("desk")
def test_rtmlib(found: Array, monkeypatch: Patch) -> None:
    rtmlib = library("rtmlib")
    arrays = found.astype(np.float32), np.full((1, 17), 0.8, np.float32)
    monkeypatch.setattr(rtmlib, "Body", lambda mode: lambda photo: arrays)
    assert is_mended(run_page("rtmlib")["refined"].keypoints, found)


@needs_model
@pytest.mark.usefixtures("desk")
def test_movenet(found: Array) -> None:
    # The photo is 512 x 600, so it is padded by 44 at the left; half a pixel from its top edge is pixel 0.
    shares = (found + 0.5 + np.array([44, 0])) / 600
    output = np.concatenate([shares[..., ::-1], np.full((1, 17, 1), 0.8)], axis=-1)[None]
    names = run_page("movenet", run_movenet=lambda photo: output)
    assert names["keypoints"] == pytest.approx(found)
    assert is_mended(names["refined"].keypoints, found)


@needs_model
@pytest.mark.usefixtures("desk")
def test_detectron2(found: Array, monkeypatch: Patch) -> None:
    torch = library("torch")
    data = torch.tensor(np.concatenate([found + 0.5, np.full((1, 17, 1), 0.1)], axis=-1), dtype=torch.float32)
    made = stand_ins.Instances((600, 512), pred_keypoints=data.clone(), scores=torch.ones(1))
    package, engine = ModuleType("detectron2"), ModuleType("detectron2.engine")
    package.model_zoo = SimpleNamespace(get_config=lambda recipe, trained: None)  # type: ignore[attr-defined]
    engine.DefaultPredictor = lambda config: lambda photo: {"instances": made}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "detectron2", package)
    monkeypatch.setitem(sys.modules, "detectron2.engine", engine)
    refined = run_page("detectron2")["refined"]
    assert is_mended(refined.pred_keypoints[..., :2], data[..., :2])
    assert torch.equal(made.pred_keypoints, data)
    assert refined.scores is made.scores


@needs_model
@pytest.mark.usefixtures("desk")
def test_mmpose(found: Array, monkeypatch: Patch) -> None:
    person = {"keypoints": found[0].tolist(), "keypoint_scores": [0.8] * 17, "bbox": ([40, 20, 470, 590],)}
    apis = ModuleType("mmpose.apis")
    apis.MMPoseInferencer = lambda name: lambda photo: iter([{"predictions": [[person]]}])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mmpose", ModuleType("mmpose"))
    monkeypatch.setitem(sys.modules, "mmpose.apis", apis)
    # What the test script dumps: a person in each sample.
    dumped = {"pred_instances": {"keypoints": found, "keypoint_scores": np.full((1, 17), 0.8)}, "img_id": 7}
    Path("results.pkl").write_bytes(pickle.dumps([dumped]))
    assert is_mended(run_page("mmpose")["refined"].keypoints, found)
    poses = posefix.read_pose_file("found.json", "coco17").poses
    assert poses.image_ids == (7,) and poses.keypoints == pytest.approx(found)


@needs_model
@pytest.mark.usefixtures("desk")
def test_fiftyone(found: Array, monkeypatch: Patch) -> None:
    sample, shares = stand_ins.Sample("photo.jpg"), (found / SIZE_WH).tolist()
    person = stand_ins.Keypoint(points=shares[0], confidence=[0.8] * 17)
    sample["found"] = stand_ins.Keypoints([person])
    fake = ModuleType("fiftyone")
    fake.load_dataset = lambda name: stand_ins.Dataset([sample])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fiftyone", fake)
    run_page("fiftyone")
    assert is_mended(np.array(sample["refined"].keypoints[0].points) * SIZE_WH, found[0])
    assert sample["found"].keypoints[0].points == shares[0]


@needs_model
@pytest.mark.usefixtures("desk")
def test_napari(found: Array, monkeypatch: Patch) -> None:
    prepare_files("napari", found)
    opened = []

    def add_points(data: Array, *, features: Any, face_color: str, size: int) -> Any:
        assert set(map(len, features.values())) == {len(data)} and face_color in features and size
        moved = data.copy()
        moved[features["keypoint"].index("left_elbow"), 1:] = 123, 45  # dragged there
        return SimpleNamespace(data=moved)

    viewer = SimpleNamespace(open=lambda path, stack: opened.append(path), add_points=add_points)
    fake = ModuleType("napari")
    fake.Viewer = lambda: viewer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "napari", fake)
    names = run_page("napari")
    assert opened == ["frames/*.jpg"] and is_mended(names["poses"].keypoints, found)
    corrected = posefix.read_pose_file("corrected.csv").poses.keypoints[0]
    elbow = COCO.index("left_elbow")
    assert corrected[elbow].tolist() == [45, 123]
    others = np.arange(17) != elbow
    assert corrected[others] == pytest.approx(names["poses"].keypoints[0][others], abs=2e-3)


@needs_model
@pytest.mark.usefixtures("desk")
def test_labels(found: Array) -> None:
    prepare_files("labels", found)
    names = run_page("labels")
    assert is_mended(posefix.read_pose_file("refined.json").poses.keypoints, names["file"].poses.keypoints)
    before, after = (json.loads(Path(name).read_text())[0] for name in ("export.json", "refined.json"))
    regions = [task["annotations"][0].pop("result") for task in (before, after)]
    assert after == before
    changed = [old["id"] for old, new in zip(*regions, strict=True) if old != new]
    assert set(changed) >= {"person-0-5", "person-0-6"}
    assert main(["refine", "annotations.xml", "--images", "photos/", "-o", "refined.xml"]) == 0
    places = [posefix.read_pose_file(name).poses.keypoints for name in ("annotations.xml", "refined.xml")]
    assert is_mended(places[1], places[0])


@needs_model
@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("openpose", "refined"),
        ("alphapose", "refined.json"),
        ("deeplabcut", "refined.csv"),
        ("sleap", "refined.h5"),
    ],
)
def test_pages_of_files(name: str, output: str, found: Array) -> None:
    prepare_files(name, found)
    names = run_page(name)
    again = posefix.read_pose_file(output)
    assert again.format == name
    assert is_mended(again.poses.keypoints, names["file"].poses.keypoints)

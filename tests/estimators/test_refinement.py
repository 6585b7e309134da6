"""The objects of pose libraries go in and come back, refined; here as stand-ins for the libraries' classes."""

from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from tests.estimators import stand_ins
from tests.estimators.libraries import (
    LIBRARIES,
    PHOTO,
    make_detectron2,
    make_torchvision,
    make_transformers,
    make_ultralytics,
    people,
)

import posefix
from posefix.errors import InputError
from posefix.estimators import refine_predictions
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.decoding import Evidence
from posefix.network.models import model_names
from posefix.refine.backends import Backend, identity_backend
from posefix.refine.refiner import Refiner
from posefix.refine.results import Scores
from posefix.skeletons import load_skeleton

torch = pytest.importorskip("torch", reason="the objects hold tensors; install the extra `train`")

Array = npt.NDArray[Any]
MODEL = load_skeleton("posefix19")


def shift_backend(images: Array, keypoints: Array, weights: Array) -> Evidence:
    """Moves every keypoint, the absent ones too, eight crop pixels down, and is sure of it."""
    everything, nothing = np.ones(weights.shape, np.float32), np.zeros(weights.shape, np.float32)
    return Evidence(keypoints + np.array([0, 8], np.float32), everything, everything, nothing, nothing)


def refiner(backend: Backend = shift_backend, **options: Any) -> Refiner:
    return Refiner(backend, MODEL, (144, 192), looks=1, **options)


@pytest.fixture(scope="module")
def sure() -> Refiner:
    """A model with a confidence of its own."""
    if DEFAULT_MODEL_NAME not in model_names():
        pytest.skip("the packaged model is not in this checkout")
    return Refiner.from_pretrained(threads=1, flip_test=False, scores="model")


each_library = pytest.mark.parametrize("name", LIBRARIES)
ONE_PERSON = ("holistic", "solutions")


def test_importing_the_room_imports_no_pose_library() -> None:
    code = "import sys, posefix; posefix.refine_predictions; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    libraries = {"ultralytics", "detectron2", "mediapipe", "supervision", "torch", "transformers"}
    assert not libraries & set(run.stdout.split())
    assert posefix.refine_predictions is refine_predictions


@each_library
def test_predictions_are_refined_as_their_arrays_are(name: str) -> None:
    library = LIBRARIES[name]
    keypoints, scores = people(1 if name in ONE_PERSON else 3, library.layout)
    predictions = library.make(keypoints, scores)
    refined = refine_predictions(refiner(), PHOTO, predictions, skeleton=library.skeleton)
    expected = refiner(scores="input")(PHOTO, keypoints, scores, skeleton=library.layout)
    places, confidence = library.take(refined)
    assert expected.moved.any()
    assert np.abs(places - expected.keypoints).max() < 1e-4
    assert np.array_equal(confidence, scores)
    assert type(refined) is type(predictions)


@each_library
def test_the_original_stays_as_it_was(name: str) -> None:
    library = LIBRARIES[name]
    keypoints, scores = people(1, library.layout)
    predictions = library.make(keypoints, scores)
    before, before_scores = map(np.copy, library.take(predictions))
    refined = refine_predictions(refiner(), PHOTO, predictions, skeleton=library.skeleton)
    assert refined is not predictions
    assert np.array_equal(library.take(predictions)[0], before)
    assert np.array_equal(library.take(predictions)[1], before_scores)


@each_library
def test_what_does_not_move_is_equal_to_the_last_bit(name: str) -> None:
    library = LIBRARIES[name]
    predictions = library.make(*people(1, library.layout))
    refined = refine_predictions(refiner(identity_backend), PHOTO, predictions, skeleton=library.skeleton)
    for after, before in zip(library.take(refined), library.take(predictions), strict=True):
        assert np.array_equal(after, before)
        assert after.dtype == before.dtype


@each_library
def test_scores_change_if_the_refiner_was_made_to(name: str, sure: Refiner) -> None:
    library = LIBRARIES[name]
    keypoints, scores = people(1, library.layout)
    refined = refine_predictions(sure, PHOTO, library.make(keypoints, scores), skeleton=library.skeleton)
    expected = sure(PHOTO, keypoints, scores, skeleton=library.layout)
    assert (expected.scores != scores).any()
    assert library.take(refined)[1] == pytest.approx(expected.scores)


def test_nobody_comes_back_as_nobody() -> None:
    empty = np.zeros((0, 17, 2)), np.zeros((0, 17))
    old_ultralytics = make_ultralytics(*empty)
    old_ultralytics.keypoints.data = torch.zeros(1, 0, 51)
    nobody: tuple[Any, ...] = (
        make_ultralytics(*empty),
        old_ultralytics,
        make_detectron2(*empty),
        make_torchvision(*empty),
        [],
        stand_ins.PoseLandmarkerResult([], []),
        stand_ins.HolisticLandmarkerResult([], []),
        stand_ins.solution_outputs(None),
        stand_ins.KeyPoints(np.zeros((0, 0, 2), np.float32)),
    )
    for predictions in nobody:
        refined = refine_predictions(refiner(), PHOTO, predictions)
        assert type(refined) is type(predictions)
        assert refined == [] or refined is not predictions


def test_coordinates_of_detectron2_are_half_a_pixel_more_than_posefix_has_them() -> None:
    seen: list[Array] = []

    def listening_backend(images: Array, keypoints: Array, weights: Array) -> Evidence:
        seen.append(images.copy())
        return identity_backend(images, keypoints, weights)

    # A photo of one white pixel, (40, 30), with a keypoint in its centre: at (40.5, 30.5) in Detectron2's numbers.
    photo = PHOTO.copy()
    photo[30, 40] = 255
    found = torch.full((1, 17, 3), 0.9)
    found[0, :, 0] = torch.linspace(32.5, 48.5, 17)
    found[0, :, 1] = torch.linspace(22.5, 38.5, 17)
    instances = stand_ins.Instances((60, 80), pred_keypoints=found)
    refine_predictions(refiner(listening_backend, batch_size=1), photo, instances)
    # The box of the keypoints is centred on the pixel, hence the crop is, too.
    weight = seen[0][0].mean(axis=-1)
    rows, columns = np.indices(weight.shape)
    centre = (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()
    assert centre == pytest.approx((71.5, 95.5), abs=0.05)


def test_landmarks_of_mediapipe_lie_between_the_edges_of_the_photo() -> None:
    # The centre of pixel (0, 0) of a photo of 80 x 60 is half a pixel from both edges.
    library = LIBRARIES["mediapipe"]
    keypoints, scores = people(1, "blazepose33")
    keypoints[0, 0] = 0
    result = library.make(keypoints, scores)
    assert (result.pose_landmarks[0][0].x, result.pose_landmarks[0][0].y) == (0.5 / 80, 0.5 / 60)
    refined = refine_predictions(refiner(), PHOTO, result)
    expected = refiner()(PHOTO, np.where(keypoints == 0, 1e-9, keypoints), skeleton="blazepose33").keypoints
    assert refined.pose_landmarks[0][0].y * 60 - 0.5 == pytest.approx(expected[0, 0, 1])
    assert refined.pose_landmarks[0][0].y * 60 - 0.5 > 0.5  # it was there, at 0, 0, and moved


def test_a_keypoint_that_mediapipe_does_not_see_is_not_a_missing_one() -> None:
    keypoints, scores = people(1, "blazepose33")
    scores[0, 11] = 0
    refined = refine_predictions(
        refiner(), PHOTO, LIBRARIES["mediapipe"].make(keypoints, scores), missing="keep"
    )
    places, after = LIBRARIES["mediapipe"].take(refined)
    assert places[0, 11, 1] > keypoints[0, 11, 1] + 0.5
    assert after[0, 11] == 0


def test_world_landmarks_depth_and_unset_visibility_stay(sure: Refiner) -> None:
    keypoints, scores = people(1, "blazepose33")
    result = LIBRARIES["mediapipe"].make(keypoints, scores)
    for landmark in result.pose_landmarks[0]:
        landmark.visibility = None
    refined = refine_predictions(sure, PHOTO, result)
    assert refined.pose_world_landmarks == [["world"]]
    assert {(one.z, one.visibility) for one in refined.pose_landmarks[0]} == {(0.1, None)}


def test_missing_keypoints_are_filled_or_kept() -> None:
    keypoints, scores = people(1, "coco17")
    keypoints[0, 9], scores[0, 9] = 0, 0
    results = make_ultralytics(keypoints, scores)
    kept = refine_predictions(refiner(), PHOTO, results, missing="keep").keypoints.data
    assert kept[0, 9].tolist() == [0, 0, 0]
    filled = refine_predictions(refiner(), PHOTO, results).keypoints.data
    assert filled[0, 9, :2].all()
    assert filled[0, 9, 2] == scores[0][scores[0] > 0].min()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_tensors_keep_their_type_and_device(dtype: str) -> None:
    keypoints, scores = people(1, "coco17")
    results = make_ultralytics(keypoints, scores)
    results.keypoints.data = results.keypoints.data.to(getattr(torch, dtype)).requires_grad_()
    after = refine_predictions(refiner(), PHOTO, results).keypoints.data
    assert (after.dtype, after.device) == (results.keypoints.data.dtype, results.keypoints.data.device)
    assert not torch.equal(after, results.keypoints.data)


@pytest.mark.gpu
def test_tensors_on_a_gpu_stay_there() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    keypoints, scores = people(1, "coco17")
    results = make_ultralytics(keypoints, scores)
    results.keypoints.data = results.keypoints.data.cuda()
    assert refine_predictions(refiner(), PHOTO, results).keypoints.data.device.type == "cuda"


def test_arrays_and_whole_numbers_stay_what_they_are() -> None:
    keypoints, scores = people(1, "coco17")
    results = make_ultralytics(keypoints, scores)
    results.keypoints.data = np.concatenate([keypoints, scores[..., None]], axis=-1)
    assert refine_predictions(refiner(), PHOTO, results).keypoints.data.dtype == np.float32
    whole = stand_ins.KeyPoints(keypoints.astype(np.int64))
    refined = refine_predictions(refiner(), PHOTO, whole, skeleton="coco17")
    expected = refiner()(PHOTO, whole.xy, skeleton="coco17").keypoints
    assert refined.xy.dtype == np.int64
    assert np.abs(refined.xy - expected).max() <= 0.5
    assert refined.keypoint_confidence is None


def test_keypoints_below_a_threshold_of_vitpose_stay_out() -> None:
    keypoints, scores = people(2, "coco17")
    whole = make_transformers(keypoints, scores)
    keep = torch.ones(17, dtype=torch.bool)
    keep[[0, 3]] = False
    cut = {**whole[0], **{field: whole[0][field][keep] for field in ("keypoints", "scores", "labels")}}
    refined = refine_predictions(refiner(), PHOTO, [cut, whole[1]])
    assert refined[0]["labels"] is cut["labels"]
    assert refined[0]["keypoints"].shape == (15, 2)
    assert (refined[0]["keypoints"][:, 1] > cut["keypoints"][:, 1]).all()


def test_without_the_last_keypoint_vitpose_needs_a_layout() -> None:
    (person,) = make_transformers(*people(1, "coco17"))
    cut = [{**person, **{field: person[field][:16] for field in ("keypoints", "scores", "labels")}}]
    with pytest.raises(InputError, match=r"highest label is 15, and with a threshold .* 'mpii16'"):
        refine_predictions(refiner(), PHOTO, cut)
    assert refine_predictions(refiner(), PHOTO, cut, skeleton="coco17")[0]["keypoints"].shape == (16, 2)
    with pytest.raises(InputError, match="'lsp14' has 14 keypoints, got the label 15"):
        refine_predictions(refiner(), PHOTO, cut, skeleton="lsp14")


def test_seventeen_keypoints_of_an_animal_are_not_those_of_a_person() -> None:
    results = make_ultralytics(*people(1, "coco17"))
    results.names = {0: "person", 1: "horse"}
    with pytest.raises(
        InputError, match="Ultralytics does not say what its 17 keypoints are; name their layout"
    ):
        refine_predictions(refiner(), PHOTO, results)
    assert refine_predictions(refiner(), PHOTO, results, skeleton="coco17") is not results


def test_doubt_lowers_logits_of_both_signs(sure: Refiner) -> None:
    """As the commands do with scores below 0 in files."""
    keypoints, scores = people(1, "coco17")
    output = make_torchvision(keypoints, 10 * (scores - 0.5))
    whose: dict[Scores, npt.NDArray[np.float64]] = {
        name: np.asarray(
            refine_predictions(dataclasses.replace(sure, scores=name), PHOTO, output)["keypoints_scores"],
            np.float64,
        )
        for name in ("input", "model", "product")
    }
    before, sureness = whose["input"], whose["model"]
    assert (before < 0).any() and (before > 0).any() and (sureness < 1).any()
    np.testing.assert_allclose(
        whose["product"], before * np.where(before < 0, 2 - sureness, sureness), rtol=1e-5
    )
    assert (whose["product"] <= before).all()


def other(predictions: Any, **attributes: Any) -> Any:
    changed = copy.copy(predictions)
    for name, value in attributes.items():
        setattr(changed, name, value)
    return changed


GOOD = make_ultralytics(*people(1, "coco17"))


@pytest.mark.parametrize(
    ("predictions", "options", "message"),
    [
        ([GOOD, GOOD], {}, "expected those of one photo, got a list of 2"),
        ([[]], {}, "expected those of one photo, got a list of 1"),
        (np.zeros((1, 17, 2)), {}, r"got numpy.ndarray; arrays go to the refiner itself"),
        (None, {}, "got builtins.NoneType"),
        ({"instances": None}, {}, r"Detectron2 Instances \(outputs\['instances'\]\)"),
        (other(GOOD, keypoints=None), {}, "hold no keypoints; use a pose model"),
        (other(GOOD, orig_shape=(80, 60)), {}, "saw a photo of 60 x 80 pixels, got one of 80 x 60"),
        (GOOD, {"skeleton": "lsp14"}, "'lsp14' has 14 keypoints, expected the 17"),
        (stand_ins.Instances((60, 80)), {}, "no pred_keypoints; use a keypoint model"),
        (stand_ins.KeyPoints(np.ones((1, 17, 2))), {}, r"does not say what its 17 keypoints are; .*'coco17'"),
        (stand_ins.KeyPoints(np.ones((1, 5, 2))), {}, "name their layout, a skeleton file of your own"),
    ],
)
def test_what_cannot_be_refined_is_refused_in_one_sentence(
    predictions: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        refine_predictions(refiner(), PHOTO, predictions, **options)


def test_a_photo_may_be_a_file(tmp_path: Path) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    from_file = refine_predictions(refiner(), tmp_path / "photo.png", GOOD)
    assert torch.equal(from_file.keypoints.data, refine_predictions(refiner(), PHOTO, GOOD).keypoints.data)
    with pytest.raises(InputError, match=r"expected \(H, W, 3\) RGB or a file"):
        refine_predictions(refiner(), PHOTO[..., 0], GOOD)

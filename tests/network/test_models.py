"""Descriptions of trained models."""

import json
import os
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from posefix.errors import InputError
from posefix.network.models import ONNX_FILE, PACKAGED_MODELS, load_model, model_names
from posefix.refine.calibration import read_calibration
from posefix.skeletons import load_skeleton

DESCRIPTION = {"format": 2, "name": "tiny", "skeleton": "posefix19", "input_size_wh": [144, 192], "other": 1}


def folder(path: Path, **changes: Any) -> Path:
    (path / "model.json").write_text(json.dumps({**DESCRIPTION, **changes}), encoding="utf-8")
    return path


def test_a_description_is_read(tmp_path: Path) -> None:
    model = load_model(folder(tmp_path))
    assert (model.name, model.input_size_wh, model.folder) == ("tiny", (144, 192), tmp_path)
    assert model.skeleton == load_skeleton("posefix19")
    assert (model.network, model.decoder, model.calibration) == ({}, "expected_similarity", {})


def test_the_network_says_how_its_heatmaps_are_read(tmp_path: Path) -> None:
    model = load_model(folder(tmp_path, network={"decoder": "soft_argmax"}, calibration={"own": 1}))
    assert (model.decoder, model.calibration) == ("soft_argmax", {"own": 1})


def test_a_skeleton_of_ones_own_lies_beside_it(tmp_path: Path) -> None:
    skeleton = {"name": "hand", "keypoints": ["thumb", "wrist"], "limbs": [["thumb", "wrist"]]}
    (tmp_path / "hand.json").write_text(json.dumps(skeleton), encoding="utf-8")
    model = load_model(folder(tmp_path, skeleton="hand.json"))
    assert model.skeleton.keypoint_names == ("thumb", "wrist")


@pytest.mark.parametrize("name", model_names())
def test_a_path_is_a_folder_also_where_it_is_called_as_a_packaged_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was trained into it is calibrated, exported and pushed, and not overwritten by the packaged model."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=rf"^{name}: expected the folder of a model, got none with a model\.json"
    ):
        load_model(Path(name))
    Path(name).mkdir()
    folder(Path(name), name="mine")
    for text in (f"./{name}", f"{name}/", str(tmp_path / name)):
        assert load_model(text).name == load_model(Path(text)).name == "mine"
    assert load_model(name).folder == PACKAGED_MODELS / name


def test_packaged_models_have_names_and_load() -> None:
    assert [load_model(name).folder.name for name in model_names()] == list(model_names())


@pytest.mark.parametrize(
    "name", ["../hand.json", "{parent}/hand.json", "x" * 5000, "a\0b", "..", "", "pipe", "nothing.json"]
)
def test_a_skeleton_elsewhere_is_refused_and_not_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "hand.json").write_text('{"keypoints": ["thumb"]}', encoding="utf-8")
    os.mkfifo(tmp_path / "model" / "pipe")
    with pytest.raises(
        InputError, match=r"model\.json: skeleton: expected a file beside the description, or one of"
    ):
        load_model(folder(tmp_path / "model", skeleton=name.format(parent=tmp_path)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 1}, r"model\.json: format: expected 2, got 1"),
        ({"format": None}, r"model\.json: format: expected 2, got None"),
        ({"network": {"decoder": "mode"}}, r"model\.json: decoder: expected soft_argmax or .*, got 'mode'"),
        ({"network": {"decoder": None}}, "decoder: expected .*, got None"),
        ({"skeleton": None}, r"model\.json: skeleton: expected the name"),
        ({"skeleton": "posefix91"}, "posefix91"),
        ({"input_size_wh": [144]}, r"model\.json: input_size_wh: expected \[width, height\]"),
        ({"input_size_wh": [144, 0]}, "input_size_wh"),
        ({"input_size_wh": "144x192"}, "input_size_wh"),
    ],
)
def test_faulty_descriptions_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_model(folder(tmp_path, **changes))


def test_a_model_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a packaged model .* got huge"):
        load_model("huge")
    with pytest.raises(InputError, match=r"expected a file model\.onnx, got only model\.json"):
        load_model(folder(tmp_path)).file(ONNX_FILE)
    (tmp_path / "model.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="expected a JSON object, got list"):
        load_model(tmp_path)


def test_small_is_small() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("timm")
    from torch.utils.flop_counter import FlopCounterMode

    from posefix.nn.checkpoint import load_network

    model = load_model("small")
    width, height = model.input_size_wh
    count = len(model.skeleton)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        load_network(model)(
            torch.zeros((1, height, width, 3)), torch.zeros((1, count, 2)), torch.ones((1, count))
        )
    assert counter.get_total_flops() / 2 <= 1.2e9  # one multiply-add is two operations
    assert model.file(ONNX_FILE).stat().st_size <= 15e6


def test_the_models_fit_into_a_wheel_of_60_mb() -> None:
    """Weights in half precision hardly get smaller when they are packed: by 6 %."""
    weights = [path for path in PACKAGED_MODELS.rglob("*") if path.suffix in (".onnx", ".safetensors")]
    packed = sum(len(zlib.compress(path.read_bytes(), 6)) for path in weights)
    assert packed <= 59e6


@pytest.mark.parametrize("name", model_names())
def test_cards_say_with_what_strengths_models_were_calibrated(name: str) -> None:
    card = " ".join((PACKAGED_MODELS / name / "README.md").read_text(encoding="utf-8").split())
    numbers = r"--strengths ([\d.]+) ([\d.]+)(?: --strength-in-crowds ([\d.]+))?"
    command = re.search(rf"posefix calibrate MODEL --recipe {name} {numbers}", card)
    calibration = read_calibration(load_model(name))
    assert command is not None and calibration is not None
    first, later, in_crowds = command.groups()
    assert (float(first), float(later)) == calibration.strengths
    assert float(in_crowds or first) == calibration.strength_in_crowds

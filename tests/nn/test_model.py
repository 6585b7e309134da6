"""The network: its shape, its entry for poses, its weights, its learning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
onnx = pytest.importorskip("onnx")

from posefix.errors import InputError  # noqa: E402
from posefix.network.models import ONNX_FILE, WEIGHTS_FILE, load_model  # noqa: E402
from posefix.nn import checkpoint, export  # noqa: E402
from posefix.nn.backbones import Backbone, load_backbone_weights  # noqa: E402
from posefix.nn.checkpoint import load_network, save_network  # noqa: E402
from posefix.nn.export import HALVED_TOLERANCE, example_inputs, export_model  # noqa: E402
from posefix.nn.heatmaps import soft_argmax  # noqa: E402
from posefix.nn.losses import integral_loss  # noqa: E402
from posefix.nn.model import ModelConfig, RefinementNetwork  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402

COCO = load_skeleton("coco17")
TINY = ModelConfig(
    backbone="resnet18",
    backbone_stride=16,
    input_size_wh=(48, 64),
    sigma=2.0,
    pose_stride=4,
    deconvolution_channels=(32, 32),
    lateral=True,
)
PAPER = ModelConfig(backbone="resnet18", input_size_wh=(64, 64))


@pytest.mark.parametrize("config", [TINY, PAPER], ids=["tiny", "paper"])
def test_output_shapes(config: ModelConfig) -> None:
    network = RefinementNetwork(config, COCO).eval()
    inputs = example_inputs(network, batch=2)
    width, height = config.input_size_wh
    stride = config.heatmap_stride
    assert network(*inputs).shape == (2, 17, height // stride, width // stride)
    assert stride == 4


@pytest.mark.parametrize("pose_stride", [1, 2, 4])
def test_an_empty_pose_leaves_the_plain_backbone_s_features(pose_stride: int) -> None:
    backbone = Backbone("resnet18", stride=16, pose_channels=5, pose_stride=pose_stride).eval()
    plain = Backbone("resnet18", stride=16, pose_channels=5, pose_stride=4).eval()
    weights = backbone.body.state_dict()
    weights["conv1.weight"] = weights["conv1.weight"][:, :3]
    plain.body.load_state_dict(weights)
    image = torch.rand(1, 3, 64, 64)
    features = backbone(image, torch.zeros(1, 5, 64 // pose_stride, 64 // pose_stride))
    expected = plain(image, torch.zeros(1, 5, 16, 16))
    for stride, feature in expected.items():
        torch.testing.assert_close(features[stride], feature, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("pose_stride", [1, 2, 4])
def test_the_pose_changes_the_result(pose_stride: int) -> None:
    backbone = Backbone("resnet18", stride=16, pose_channels=5, pose_stride=pose_stride).eval()
    image, grid = torch.rand(1, 3, 64, 64), 64 // pose_stride
    empty, full = (backbone(image, torch.full((1, 5, grid, grid), value))[16] for value in (0.0, 1.0))
    assert not torch.allclose(empty, full)


@pytest.mark.parametrize("name", ["mobilenetv2_100", "tf_efficientnet_b0", "convnext_atto", "regnetx_002"])
def test_other_backbones_keep_their_features_too(name: str) -> None:
    """Networks whose first convolution pads in its own way among them."""
    import timm

    torch.manual_seed(0)
    plain = timm.create_model(name, features_only=True).eval()
    backbone = Backbone(name, stride=32, pose_channels=5, pose_stride=1).eval()
    wide = backbone.state_dict()
    weights = {f"body.{key}": value for key, value in plain.state_dict().items()}
    for key, value in weights.items():
        same = wide[key].shape == value.shape
        wide[key] = value if same else torch.cat([value, wide[key][:, value.shape[1] :]], dim=1)
    backbone.load_state_dict(wide)
    image = torch.rand(1, 3, 96, 128)
    features = backbone(image, torch.zeros(1, 5, 96, 128))
    for ours, theirs in zip(features.values(), plain(image), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def test_overfits_four_people() -> None:
    torch.manual_seed(0)
    network = RefinementNetwork(TINY, COCO).train()
    image, keypoints, weights = example_inputs(network, batch=4)
    target = keypoints.clamp(min=2).minimum(torch.tensor([45.0, 61.0]))
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(120):
        logits = network(image, keypoints, weights)
        optimiser.zero_grad()
        integral_loss(logits, target, torch.ones(4, 17, dtype=torch.bool), 4)["total"].backward()
        optimiser.step()
    refined = soft_argmax(logits.detach(), TINY.heatmap_stride)
    assert float((refined - target).norm(dim=-1).mean()) < 1.0


def test_batched_equals_single() -> None:
    network = RefinementNetwork(TINY, COCO).eval()
    inputs = example_inputs(network, batch=3)
    batched = network(*inputs)
    for index in range(3):
        single = network(*(value[index : index + 1] for value in inputs))
        torch.testing.assert_close(batched[index : index + 1], single, atol=1e-3, rtol=0)


def test_without_pose_input_the_photo_alone_counts() -> None:
    image, keypoints, weights = example_inputs(RefinementNetwork(TINY, COCO), batch=2)
    for pose_input in (True, False):
        network = RefinementNetwork(replace(TINY, pose_input=pose_input), COCO).eval()
        here = network(image, keypoints, weights)
        there = network(image, keypoints.flip(0) / 2, 1 - weights)
        assert torch.equal(here, there) is not pose_input
        assert not torch.equal(here, network(image.flip(0), keypoints, weights))


def test_saved_loaded_and_exported_networks_agree(tmp_path: Path) -> None:
    from posefix.refine.networks import OnnxNetwork, TorchNetwork

    torch.manual_seed(0)
    network = RefinementNetwork(replace(TINY, decoder="expected_similarity"), COCO).eval()
    save_network(network, "coco17", tmp_path, "tiny", {})
    loaded = load_network(load_model(tmp_path))
    assert export_model(tmp_path, tmp_path / "exported") < HALVED_TOLERANCE
    exported = load_model(tmp_path / "exported")
    assert exported.decoder == "expected_similarity"
    for batch in (1, 3):
        inputs = example_inputs(network, batch)
        with torch.no_grad():
            logits = loaded(*inputs)
            torch.testing.assert_close(
                logits, network(*inputs), atol=0.05, rtol=0
            )  # weights in half precision
        arrays = [value.numpy() for value in inputs]
        runtime = OnnxNetwork(exported.file(ONNX_FILE), threads=1)(*arrays)
        torch.testing.assert_close(torch.from_numpy(runtime), logits, atol=HALVED_TOLERANCE, rtol=0)
        torch.testing.assert_close(TorchNetwork(loaded)(*arrays), logits)


def test_new_weights_never_lie_beside_the_description_of_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever dies while a model is written leaves a folder that is none, not one with another's calibration."""
    save_network(RefinementNetwork(TINY, COCO), "coco17", tmp_path, "tiny", {})

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "write_text_atomic", die)
    with pytest.raises(KeyboardInterrupt):
        save_network(RefinementNetwork(TINY, COCO), "coco17", tmp_path, "tiny", {})
    assert [path.name for path in tmp_path.iterdir()] == [WEIGHTS_FILE]


@pytest.mark.parametrize(
    ("weights", "error", "problem"),
    [
        ("exact", 1, "exported graph differs"),
        ("halved", 1, "half precision differs"),
        ("halved", np.nan, "by nan logits"),
    ],
)
def test_a_graph_that_differs_from_pytorch_is_not_kept(
    weights: str, error: float, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last layer's weights off by one or no numbers, in the graph itself or in the one of halved weights."""
    network = RefinementNetwork(TINY, COCO).eval()
    save_network(network, "coco17", tmp_path, "tiny", {})
    name = {"exact": "to_onnx", "halved": "halve_weights"}[weights]
    right = getattr(export, name)

    def wrong(argument: object) -> object:
        model = right(argument)
        last = next(array for array in model.graph.initializer if array.name == "output.weight")
        values = onnx.numpy_helper.to_array(last) + np.float32(error)
        last.CopyFrom(onnx.numpy_helper.from_array(values, last.name))
        return model

    monkeypatch.setattr(export, name, wrong)
    with pytest.raises(ArithmeticError, match=problem):
        export_model(tmp_path, tmp_path / "exported")
    assert not (tmp_path / "exported" / ONNX_FILE).exists()


def test_torchvision_weights_fill_the_backbone(shared_data: Path) -> None:
    path = shared_data / "backbones" / "resnet18_imagenet_to_layer3.safetensors"
    backbone = Backbone("resnet18", stride=16, pose_channels=17, pose_stride=1)
    before = backbone.body.conv1.weight[:, 3:].clone()
    load_backbone_weights(backbone, path)
    torch.testing.assert_close(backbone.body.conv1.weight[:, 3:], before)  # the pose's filters stay
    from safetensors.torch import load_file

    torch.testing.assert_close(backbone.body.conv1.weight[:, :3], load_file(path)["conv1.weight"].float())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet18", "stride": 64, "pose_stride": 1}, "not 64"),
        (
            {"name": "no_such_net", "stride": 32, "pose_stride": 1},
            "expected the name of one of timm's architectures",
        ),
        ({"name": "mobilenetv2_100", "stride": 32, "pose_stride": 4}, "pose_stride = 1"),
    ],
)
def test_unfit_backbones_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Backbone(pose_channels=3, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size_wh": (100, 128)}, "multiples"),
        ({"pose_stride": 3}, "pose_stride"),
        ({"decoder": "mode"}, "decoder must be one of"),
    ],
)
def test_unfit_configurations_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelConfig(**arguments)  # type: ignore[arg-type]


def test_a_model_takes_its_own_skeleton_file_along(tmp_path: Path) -> None:
    mine = {
        "name": "ant",
        "keypoints": [{"name": name, "sigma": 0.05} for name in ("head", "left_leg", "right_leg")],
    }
    path = tmp_path / "ant.json"
    path.write_text(json.dumps({**mine, "flip_pairs": [["left_leg", "right_leg"]], "limbs": []}))
    folder = tmp_path / "model"
    folder.mkdir()
    save_network(RefinementNetwork(TINY, load_skeleton(path)), str(path), folder, "ant", {})
    path.unlink()
    assert load_network(load_model(folder)).num_keypoints == 3


def test_weights_of_another_skeleton_are_refused(tmp_path: Path) -> None:
    save_network(RefinementNetwork(TINY, load_skeleton("lsp14")), "coco17", tmp_path, "tiny", {})
    with pytest.raises(InputError, match="another network or skeleton"):
        load_network(load_model(tmp_path))

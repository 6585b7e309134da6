"""The trunk that knows people, and the network that stands on it."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

import torch
from safetensors.torch import save_file

import posefix
from posefix.errors import InputError
from posefix.network.models import ONNX_FILE, load_model
from posefix.nn.architectures import build_network
from posefix.nn.checkpoint import save_network
from posefix.nn.export import export_model, largest_difference, to_onnx
from posefix.nn.fusion import FusionNetwork
from posefix.nn.model import ModelConfig
from posefix.nn.movenet import MOBILENET_V2, MoveNetTrunk, rounded_channels
from posefix.nn.trunks import FrozenTrunk, TimmTrunk, build_trunk, load_trunk_weights
from posefix.refine.backends import HeatmapBackend, Runtime, open_backend
from posefix.refine.networks import OnnxNetwork
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
SMALL = ModelConfig(
    architecture="fusion",
    backbone="movenet_lightning",
    backbone_stride=16,
    input_size_wh=(64, 96),
    fusion_channels=(16, 16, 24),
    fusion_blocks=(1, 1),
    deconvolution_channels=(16, 16),
    decoder="expected_similarity",
)


@pytest.fixture(scope="module")
def network() -> FusionNetwork:
    torch.manual_seed(0)
    made = build_network(SMALL, COCO).eval()
    assert isinstance(made, FusionNetwork)
    return made


def batch(count: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    image = torch.randint(0, 256, (count, 96, 64, 3), generator=generator, dtype=torch.uint8)
    return image, torch.rand(count, 17, 2, generator=generator) * 64, torch.ones(count, 17)


def test_thunder_has_the_channels_of_its_graph() -> None:
    assert [rounded_channels(channels, 1.75) for channels in MOBILENET_V2] == [
        56, 32, 40, 40, 56, 56, 56, 112, 112, 112, 112, 168, 168, 168, 280, 280, 280, 560,
    ]  # fmt: skip
    assert MoveNetTrunk("movenet_thunder").channels == {4: 81, 8: 80, 16: 200}


def test_the_trunk_is_the_published_one(shared_data: Path) -> None:
    """Features equal those of an independent implementation, which equals the published graph."""
    sys.path.insert(0, str(shared_data / "backbones"))
    try:
        from movenet import MoveNet  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    weights = shared_data / "backbones" / "movenet_thunder.safetensors"
    trunk = build_trunk("movenet_thunder").eval()
    load_trunk_weights(trunk, weights)
    image = torch.randint(0, 256, (1, 96, 64, 3), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, peer = trunk(image), MoveNet.load(weights)
        features = peer.features(image.permute(0, 3, 1, 2).float())
        heatmaps = peer.heads["heatmap"](features[-1]) / 5
    expected = {
        4: torch.cat([features[1], features[9], heatmaps], dim=1),
        8: torch.cat([features[2], features[8]], dim=1),
        16: torch.cat([features[4], features[7]], dim=1),
    }
    for stride, values in expected.items():
        torch.testing.assert_close(found[stride], values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("half", [False, True])
def test_openvino_runs_the_trunk_as_pytorch_does(network: FusionNetwork, half: bool) -> None:
    pytest.importorskip("openvino")
    image, *_ = batch(3)
    expected = network.features(image)
    trunk = copy.deepcopy(network.trunk).train()
    # What is around the step must not reach the trunk, which is run in single precision.
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = trunk(image)
    for stride, values in expected.items():
        assert found[stride].dtype == torch.float32
        torch.testing.assert_close(found[stride], values, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("half", [False, True])
def test_without_openvino_pytorch_runs_the_trunk(
    network: FusionNetwork, half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    image, *_ = batch(3)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = copy.deepcopy(network.trunk).train()(image)
    for stride, values in network.features(image).items():
        assert found[stride].dtype == torch.float32
        assert not found[stride].requires_grad
        torch.testing.assert_close(found[stride], values, rtol=1e-3, atol=1e-3)


def test_the_trunk_is_not_trained(network: FusionNetwork) -> None:
    own = copy.deepcopy(network).train()
    before = {key: value.clone() for key, value in own.trunk.state_dict().items()}
    image, keypoints, weights = batch()
    losses = own.losses(image, keypoints, weights, keypoints, weights > 0)
    losses["total"].backward()
    assert all(weight.grad is None for weight in own.trunk.parameters())
    assert all(weight.grad is not None for weight in own.fusing.parameters())
    torch.optim.SGD([w for w in own.parameters() if w.requires_grad], lr=0.1).step()
    assert all(torch.equal(before[key], value) for key, value in own.trunk.state_dict().items())


def test_a_pose_enters_after_the_trunk(network: FusionNetwork) -> None:
    image, keypoints, weights = batch()
    with torch.no_grad():
        features = network.features(image)
        whole = network(image, keypoints, weights)
        parts = network.fuse(features, keypoints, weights)
        withheld = network.fuse(features, keypoints, torch.zeros_like(weights))
    assert whole.shape == (2, 17, 24, 16)
    torch.testing.assert_close(whole, parts)
    assert (whole - withheld).abs().max() > 1e-3


@pytest.mark.parametrize("strides", [(4,), (8,), (16,), (4, 8, 16)])
def test_a_pose_enters_where_the_setting_says_and_nowhere_else(strides: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    own = build_network(replace(SMALL, fusion_pose_strides=strides), COCO).eval()
    assert isinstance(own, FusionNetwork)
    image, keypoints, weights = batch()
    joined: dict[str, list[torch.Tensor]] = {}
    for name, join in zip(("4", "8", "16"), own.fusing.joins, strict=True):
        join.register_forward_hook(lambda *found, name=name: joined.setdefault(name, []).append(found[-1]))
    with torch.no_grad():
        own(image, keypoints, weights)
        own(image, keypoints, torch.zeros_like(weights))
    for stride in (4, 8, 16):
        given, withheld = joined[str(stride)]
        assert torch.equal(given, withheld) == (stride < strides[0]), stride
    first = [next(join.parameters()) for join in own.fusing.joins]
    sees = {stride: weight.shape[1] for stride, weight in zip((4, 8, 16), first, strict=True)}
    before = {4: 0, 8: SMALL.fusion_channels[0], 16: SMALL.fusion_channels[1]}
    for stride, channels in own.trunk.channels.items():
        assert sees[stride] == channels + before[stride] + (17 if stride in strides else 0)


@pytest.mark.parametrize(
    "change",
    [
        {"fusion_pose_strides": (4, 8, 16)},
        {"fusion_blocks": (0, 0)},
        {"deconvolution_channels": (16,)},
        {"pose_input": False},
    ],
)
def test_other_shapes_learn_and_answer(change: dict[str, Any]) -> None:
    config = replace(SMALL, **change)
    own = build_network(config, COCO).train()
    assert isinstance(own, FusionNetwork)
    image, keypoints, weights = batch()
    own.losses(image, keypoints, weights, keypoints, weights > 0)["total"].backward()
    assert all(weight.grad is not None for weight in own.fusing.parameters())
    stride = config.heatmap_stride
    assert own.eval()(image, keypoints, weights).shape == (2, 17, 96 // stride, 64 // stride)


def test_another_shape_is_exported() -> None:
    shape = {"fusion_pose_strides": (4, 8, 16), "fusion_blocks": (0, 1), "deconvolution_channels": (16,)}
    own = build_network(replace(SMALL, **shape), COCO).eval()  # type: ignore[arg-type]
    assert largest_difference(own, to_onnx(own).SerializeToString()) < 1e-3


def test_the_exported_graph_is_the_network(network: FusionNetwork) -> None:
    assert largest_difference(network, to_onnx(network).SerializeToString()) < 1e-3


def test_a_graph_tells_nothing_of_the_machine_that_exported_it(network: FusionNetwork) -> None:
    content = to_onnx(network).SerializeToString()
    assert b"stack_trace" not in content
    assert str(Path(posefix.__file__).parent).encode() not in content


def test_several_poses_in_a_photo_are_answered_as_each_alone(network: FusionNetwork) -> None:
    image, keypoints, weights = batch(3)
    questions = [(keypoints, weights), (keypoints.flip(0) / 2, weights), (keypoints, weights * 0)]
    with torch.no_grad():
        together = network(image, *(torch.cat(parts) for parts in zip(*questions, strict=True)))
        single = torch.cat([network(image, *question) for question in questions])
    assert together.shape == (9, 17, 24, 16)
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-4)
    assert (single[:3] - single[3:6]).abs().max() > 1e-3
    assert (single[0] - single[1]).abs().max() > 1e-3


@pytest.fixture(scope="module")
def exported(network: FusionNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fusion")
    save_network(network, "coco17", folder, "fusion", {})
    export_model(folder, folder)
    return folder


def test_the_graph_takes_any_number_of_photos_and_of_poses_in_them(
    network: FusionNetwork, exported: Path
) -> None:
    graph = OnnxNetwork(exported / ONNX_FILE, threads=1)
    for photos, poses_of_each in ((1, 1), (2, 1), (1, 4), (3, 2), (2, 3)):
        (image, *_), (_, keypoints, weights) = batch(photos), batch(photos * poses_of_each)
        with torch.no_grad():
            expected = network(image, keypoints, weights).numpy()
        found = graph(image.numpy(), keypoints.numpy(), weights.numpy())
        np.testing.assert_allclose(found, expected, atol=0.05)  # weights in half precision


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "pytorch"])
def test_every_runtime_answers_several_poses_in_a_crop_as_each_alone(
    runtime: Runtime, flip_test: bool, exported: Path
) -> None:
    if runtime == "openvino":
        pytest.importorskip("openvino")
    model = load_model(exported)
    assert model.shares_features
    backend = open_backend(model, device="cpu", runtime=runtime, threads=1, flip_test=flip_test)
    assert isinstance(backend, HeatmapBackend)
    assert backend.shares_features
    images, keypoints, weights = (array.numpy() for array in batch(3))
    questions = [(keypoints, weights), (keypoints[::-1] / 2, weights), (keypoints, weights * 0)]
    found = backend(images, *(np.concatenate(parts) for parts in zip(*questions, strict=True)))
    tolerance = 0.05 if runtime == "openvino" else 1e-3  # it may compute in half precision
    for number, question in enumerate(questions):
        expected = backend(images, *question)
        for name in ("similarity", "vicinity", "given_similarity", "given_vicinity"):
            part = getattr(found, name)[3 * number : 3 * number + 3]
            np.testing.assert_allclose(part, getattr(expected, name), atol=tolerance)
        if runtime != "openvino":
            part = found.keypoints[3 * number : 3 * number + 3]
            np.testing.assert_allclose(part, expected.keypoints, atol=0.05)


def test_a_network_of_timm_can_be_the_trunk() -> None:
    trunk = build_trunk("tf_efficientnet_lite0")
    assert isinstance(trunk, TimmTrunk)
    assert trunk.mean.flatten().tolist() == pytest.approx([127.5] * 3)
    features = trunk.eval()(torch.zeros(1, 64, 32, 3))
    assert {stride: tuple(value.shape[2:]) for stride, value in features.items()} == {
        4: (16, 8), 8: (8, 4), 16: (4, 2),
    }  # fmt: skip


def test_weights_of_another_trunk_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    lightning = MoveNetTrunk("movenet_lightning")
    save_file(lightning.state_dict(), path)
    load_trunk_weights(MoveNetTrunk("movenet_lightning"), path)
    with pytest.raises(
        InputError, match=r"weights\.safetensors: stem\.weight is missing or of another shape"
    ):
        load_trunk_weights(MoveNetTrunk("movenet_thunder"), path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fusion_channels": (16, 16)}, "fusion_channels must be 3 whole numbers"),
        ({"fusion_blocks": (-1, 1)}, "fusion_blocks must be 2 whole numbers from 0"),
        ({"fusion_pose_strides": ()}, "fusion_pose_strides must be one or more of 4, 8 and 16"),
        ({"fusion_pose_strides": (8, 4)}, "the finest first"),
        ({"fusion_pose_strides": (4, 32)}, "one or more of 4, 8 and 16"),
        ({"input_size_wh": (48, 96)}, "multiples of 32"),
    ],
)
def test_shapes_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelConfig(**{**SMALL.__dict__, **change})


def test_a_copy_compiles_its_own_trunk(network: FusionNetwork) -> None:
    trunk = FrozenTrunk(copy.deepcopy(network.trunk.trunk)).train()
    pytest.importorskip("openvino")
    image, *_ = batch(1)
    before = trunk(image)
    other = copy.deepcopy(trunk)
    with torch.no_grad():
        for weight in other.trunk.parameters():
            weight.mul_(0.5)
    assert (other(image)[4] - before[4]).abs().max() > 1e-3
    torch.testing.assert_close(trunk(image)[4], before[4])


GIVEN_UP = """
import signal, subprocess, sys
import torch
from posefix.nn.trunks import FrozenTrunk, build_trunk
signal.signal(signal.SIGCHLD, lambda *_: None)
trunks = [FrozenTrunk(build_trunk("resnet18", pretrained=False)) for _ in range(2)]
for trunk in trunks:
    trunk.train()(torch.zeros((1, 64, 64, 3), dtype=torch.uint8))
while trunks:
    del trunks[0]
del trunk
subprocess.run([sys.executable, "-c", "pass"], check=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="no signals of child processes on this system")
def test_trunks_that_were_given_up_leave_the_process_alive() -> None:
    """They are run by the one core of OpenVINO that there is, see `posefix.network.openvino_core`."""
    pytest.importorskip("openvino")
    subprocess.run([sys.executable, "-c", GIVEN_UP], check=True)

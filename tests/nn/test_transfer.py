"""Weights from one skeleton's network to another's, keypoint by keypoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from torch import Tensor  # noqa: E402

from posefix.errors import InputError  # noqa: E402
from posefix.nn.checkpoint import save_network  # noqa: E402
from posefix.nn.model import ModelConfig, RefinementNetwork  # noqa: E402
from posefix.nn.transfer import start_from  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402

COCO, POSETRACK = load_skeleton("coco17"), load_skeleton("posetrack18")
TINY = ModelConfig(
    backbone="resnet18", backbone_stride=16, input_size_wh=(48, 64), deconvolution_channels=(8, 8)
)


@pytest.fixture(params=[1, 4], ids=["joined", "late"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> RefinementNetwork:
    """A network of COCO's keypoints, saved in tmp_path; its pose enters early or late."""
    network = RefinementNetwork(replace(TINY, pose_stride=request.param), COCO)
    save_network(network, "coco17", tmp_path, "coco", {})
    return network


def halved(weight: Tensor | None) -> Tensor:
    assert weight is not None
    return weight.detach().half().float()  # as saved


def test_keypoints_of_one_name_keep_their_channels(source: RefinementNetwork, tmp_path: Path) -> None:
    target = RefinementNetwork(source.config, POSETRACK)
    fresh = target.output.weight.detach().clone()
    start_from(target, POSETRACK, tmp_path)
    there, here = POSETRACK.index("left_knee"), COCO.index("left_knee")
    assert torch.equal(target.output.weight[there], halved(source.output.weight[here]))
    pose, pose_before = target.backbone.pose_weight, halved(source.backbone.pose_weight)
    assert torch.equal(pose[:, there - len(POSETRACK)], pose_before[:, here - len(COCO)])
    new = POSETRACK.index("head_top")
    assert torch.equal(target.output.weight[new], fresh[new])


def test_everything_else_is_copied(source: RefinementNetwork, tmp_path: Path) -> None:
    target = RefinementNetwork(source.config, POSETRACK)
    start_from(target, POSETRACK, tmp_path)
    own = target.state_dict()
    for key, weight in source.state_dict().items():
        if key not in target.keypoint_axes():
            assert torch.equal(own[key], halved(weight) if weight.is_floating_point() else weight), key
    if source.config.pose_stride == 1:
        photo = target.backbone.body.conv1.weight[:, :3]
        assert torch.equal(photo, halved(source.backbone.body.conv1.weight[:, :3]))


def test_of_the_same_keypoints_all_is_copied(source: RefinementNetwork, tmp_path: Path) -> None:
    target = RefinementNetwork(source.config, COCO)
    start_from(target, COCO, tmp_path)
    assert torch.equal(target.output.bias, halved(source.output.bias))
    assert torch.equal(target.backbone.pose_weight, halved(source.backbone.pose_weight))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deconvolution_channels": (8, 16)}, "of another network: .* is missing or of another shape"),
        ({"pose_input": False, "deconvolution_channels": (8, 16)}, "of another network: .* of another shape"),
    ],
)
def test_other_networks_are_refused(
    source: RefinementNetwork, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    target = RefinementNetwork(replace(source.config, **changes), POSETRACK)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        start_from(target, POSETRACK, tmp_path)


def test_a_pose_network_starts_from_a_refiner_without_its_pose(
    source: RefinementNetwork, tmp_path: Path
) -> None:
    """With no keypoint present the refiner sees the photo alone: both give the same heatmaps."""
    target = RefinementNetwork(replace(source.config, pose_input=False), COCO).eval()
    start_from(target, COCO, tmp_path)
    refiner = RefinementNetwork(source.config, COCO).eval()
    start_from(refiner, COCO, tmp_path)
    image = torch.randint(0, 256, (2, 64, 48, 3), dtype=torch.uint8)
    nothing = torch.zeros(2, len(COCO), 2), torch.zeros(2, len(COCO))
    torch.testing.assert_close(target(image, *nothing), refiner(image, *nothing))


def test_a_refiner_cannot_start_from_a_pose_network(tmp_path: Path) -> None:
    save_network(RefinementNetwork(replace(TINY, pose_input=False), COCO), "coco17", tmp_path, "blind", {})
    with pytest.raises(InputError, match="pose_input is false there and true here"):
        start_from(RefinementNetwork(TINY, POSETRACK), POSETRACK, tmp_path)

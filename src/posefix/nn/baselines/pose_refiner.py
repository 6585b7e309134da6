"""PoseRefiner (Fieraru et al., CVPR workshops 2018), the refiner that the paper compares with in table 6.

A ResNet-101 sees the photo and a disc for each input keypoint (section 3 there). Its last stage keeps stride 16 by
dilation, and one deconvolution predicts at stride 8, for each keypoint, a score of every cell and an offset from that
cell to the keypoint. Scores are learned by cross-entropy with a disc around the true place, offsets by a smooth L1 loss
inside it; a keypoint is found at the best cell plus its offset. Numbers are those of the authors' code
(mihaifieraru/human-pose-refiner), which only runs a trained network; those of training are of the code that it builds
on (eldar/pose-tensorflow), which need not be the authors' own settings.

`forward` returns heatmap logits like every network here, so that the training loop's validation, export, the flip test
and `posefix refine --model` need to know nothing of offsets: the best cells vote, each with a small Gaussian at its
place plus its offset and with its share of the softmax over them. Given that exactly one cell is right, that share is
its probability: scores are log odds, and the cells' odds are in proportion to it.

Differences: crops are those of our refiner and not scaled to a person 340 pixels tall, discs are 1 high and not 255,
unlabelled keypoints are not learned, where the code takes them for absent from the photo. PoseRefiner's way of making
wrong poses is `posefix.training.ad_hoc_synthesis`.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import FeatureListNet
from torch import Tensor, nn
from torch.nn import functional

from posefix.errors import InputError
from posefix.nn.backbones import Backbone
from posefix.nn.heatmaps import cell_centres
from posefix.nn.losses import inside_crop, masked_mean
from posefix.nn.model import ModelConfig, PoseNetwork
from posefix.skeletons import Skeleton

FEATURE_STRIDE = 16
STRIDE = 8
"""Of scores and offsets."""
DISC_RADIUS = 2.0
"""Radius of the discs, of input and targets, in units of `ModelConfig.sigma`: 14 pixels with its default, as in the
code, where it is 17 pixels of a scale of .845."""
OFFSET_UNIT = 7.2801
"""Pixels: standard deviation of the offsets in the code's training data."""
OFFSET_WEIGHT = 0.05
"""Of the offsets' loss beside the scores'."""
OUTPUT_STD = 0.01
VOTES = 32
"""Cells that vote: about three times as many as lie in a disc."""
VOTE_SIGMA = 0.75
"""Standard deviation of a vote in cells of the heatmap."""
EMPTY = 1e-9
"""What a cell of the heatmap holds at least, since its logarithm is taken."""


class PoseRefiner(PoseNetwork):
    """Photo and input pose in, scores and offsets inside, heatmap logits out.

    With `ModelConfig.backbone_stride` 32 the last stage is dilated, as published; with 16 it is left out. Of
    `ModelConfig.deconvolution_channels` only the number counts: it gives the stride of the heatmap.

    Args:
        config: Shape of the network.
        skeleton: Names the K keypoints.
        pretrained: Load timm's ImageNet weights for the backbone.

    Raises:
        InputError: The backbone cannot be brought to stride 16.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton, *, pretrained: bool = False) -> None:
        super().__init__(config, skeleton)
        if config.backbone_stride not in (FEATURE_STRIDE, 2 * FEATURE_STRIDE):
            raise InputError(
                f"architecture 'pose_refiner': backbone_stride must be 16 or 32, got {config.backbone_stride}"
            )
        self.backbone = Backbone(
            config.backbone,
            stride=config.backbone_stride,
            pose_channels=self.num_keypoints,
            pose_stride=config.pose_stride,
            pretrained=pretrained,
        )
        if config.backbone_stride > FEATURE_STRIDE:
            dilate_last_stage(self.backbone.body, config.backbone)
        # Three maps a keypoint: the score, and the offset in x and in y.
        self.output = nn.ConvTranspose2d(
            self.backbone.channels[config.backbone_stride],
            3 * self.num_keypoints,
            3,
            stride=2,
            padding=1,
            output_padding=1,
        )
        nn.init.normal_(self.output.weight, std=OUTPUT_STD)
        self.radius = DISC_RADIUS * config.sigma

    def forward(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> Tensor:
        """Heatmap logits (B, K, h, w) of the cells' votes, see `PoseNetwork` and the module's text."""
        scores, places = self._best_cells(*self._maps(image, keypoints, weights), VOTES)
        width, height = (side // self.config.heatmap_stride for side in self.config.input_size_wh)
        share = functional.softmax(scores, dim=-1)[..., None]
        column = share * self._votes(places[..., 1:], height)
        row = self._votes(places[..., :1], width)
        return torch.log((column.transpose(-1, -2) @ row).clamp(min=EMPTY))

    def places(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> Tensor:
        """Refined places (B, K, 2) in crop pixels as published: the best cell plus its offset; see `PoseNetwork`."""
        return self._best_cells(*self._maps(image, keypoints, weights), 1)[1][:, :, 0]

    def losses(
        self, image: Tensor, keypoints: Tensor, weights: Tensor, targets: Tensor, labelled: Tensor
    ) -> dict[str, Tensor]:
        """The scores' loss (``heatmap``), the offsets' (``offset``) and their weighted sum, see `PoseNetwork`.

        Offsets are learned at the cells of discs. Over all keypoints, an unlabelled one counts as many cells as a
        labelled one has on average.
        """
        scores, offsets = self._maps(image, keypoints, weights)
        inside = inside_crop(targets, labelled, scores, STRIDE)
        wanted = targets[..., None, None] - _centres(scores)
        # Where a disc is smaller than a cell, the nearest cell is in it all the same.
        disc = (wanted**2).sum(dim=2) <= max(self.radius, 0.75 * STRIDE) ** 2
        error = functional.binary_cross_entropy_with_logits(scores, disc.float(), reduction="none")
        average = self.config.loss_average
        heatmap = masked_mean(error.mean(dim=(2, 3)), inside, average)
        error = functional.smooth_l1_loss(offsets / OFFSET_UNIT, wanted / OFFSET_UNIT, reduction="none")
        offset = masked_mean(error.mean(dim=2), disc & inside[..., None, None])
        if average == "all":
            offset = offset * inside.float().mean()
        return {"total": heatmap + OFFSET_WEIGHT * offset, "heatmap": heatmap, "offset": offset}

    def _maps(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, K, H / 8, W / 8), log odds, and offsets (B, K, 2, H / 8, W / 8) in crop pixels."""
        stride = self.config.pose_stride
        width, height = (side // stride for side in self.config.input_size_wh)
        pose = render_discs(keypoints, weights, (width, height), stride, self.radius)
        features = self.backbone(self.normalized(image), pose)[self.config.backbone_stride]
        maps = self.output(features).float().unflatten(1, (self.num_keypoints, 3))
        return maps[:, :, 0], OFFSET_UNIT * maps[:, :, 1:]

    def _best_cells(self, scores: Tensor, offsets: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Scores (B, K, count) of the best cells, and where these point to: (B, K, count, 2) in crop pixels."""
        pointed = (_centres(scores) + offsets).flatten(3).transpose(2, 3)
        flat = scores.flatten(2)
        best, cells = flat.topk(min(count, flat.shape[2]), dim=2)
        return best, pointed.gather(2, cells[..., None].expand(-1, -1, -1, 2))

    def _votes(self, places: Tensor, count: int) -> Tensor:
        """Gaussians around coordinates (B, K, M, 1) of one axis at the cells of the heatmap: (B, K, M, count)."""
        stride = self.config.heatmap_stride
        distance = cell_centres(count, stride, places) - places
        return torch.exp(-0.5 * (distance / (VOTE_SIGMA * stride)) ** 2)


def _centres(scores: Tensor) -> Tensor:
    """Crop pixels (2, h, w) of the centres of the cells of scores (B, K, h, w): x, then y."""
    height, width = scores.shape[2:]
    x, y = cell_centres(width, STRIDE, scores), cell_centres(height, STRIDE, scores)
    return torch.stack([x[None, :].expand(height, width), y[:, None].expand(height, width)])


def render_discs(
    keypoints: Tensor, weights: Tensor, size_wh: tuple[int, int], stride: int, radius: float
) -> Tensor:
    """One disc per keypoint at the cells of a grid; places outside it are legal.

    Args:
        keypoints: (B, K, 2) in input pixels.
        weights: (B, K) heights; 0 leaves the channel empty.
        size_wh: Grid width and height in cells.
        stride: Input pixels per cell.
        radius: In input pixels.

    Returns:
        (B, K, height, width) float32.
    """
    width, height = size_wh
    x = cell_centres(width, stride, keypoints) - keypoints[..., 0:1]
    y = cell_centres(height, stride, keypoints) - keypoints[..., 1:2]
    disc = x[..., None, :] ** 2 + y[..., :, None] ** 2 <= radius**2
    return disc * weights[..., None, None]


def dilate_last_stage(body: Any, name: str) -> None:
    """Let a ResNet's last stage keep the stride that enters it, in place; its weights stay what they are.

    Its convolutions that halved no longer do, and those behind them take every second cell, so that each sees what it
    saw before ("hole algorithm", Insafutdinov et al. 2016, section 3).

    Args:
        body: timm's network of feature maps.
        name: The network's, for the error.

    Raises:
        InputError: The network has no such stage.
    """
    # timm's feature networks hold their stages in order; those of other kinds have no stages to take apart.
    stage = list(body.children())[-1] if isinstance(body, FeatureListNet) else nn.Identity()
    convolutions = [layer for layer in stage.modules() if isinstance(layer, nn.Conv2d)]
    pooled = any(isinstance(layer, nn.AvgPool2d) for layer in stage.modules())
    plain = all(layer.kernel_size in ((1, 1), (3, 3)) for layer in convolutions)
    halving = [layer.stride == (2, 2) for layer in convolutions]
    if pooled or not plain or not any(halving):
        raise InputError(f"backbone {name!r}: its last stage cannot be dilated; set backbone_stride = 16")
    for layer in convolutions[halving.index(True) :]:
        if layer.stride == (2, 2):
            layer.stride = (1, 1)
        elif layer.kernel_size == (3, 3):
            layer.dilation = layer.padding = (2, 2)

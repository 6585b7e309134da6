"""Validation as a user would see it: a real estimator's file refined by the real path and evaluated."""

from __future__ import annotations

from pathlib import Path

from posefix.errors import InputError
from posefix.evaluation.coco import check_images, evaluate_coco
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_annotated_poses
from posefix.network.decoding import Decoder
from posefix.nn.model import PoseNetwork
from posefix.photos.finding import find_images
from posefix.pose.poses import Poses
from posefix.refine.backends import HeatmapBackend
from posefix.refine.networks import TorchNetwork
from posefix.refine.refiner import Refiner
from posefix.skeletons import Skeleton
from posefix.training.config import TrainConfig
from posefix.training.loop import Validate


def read_validation_poses(config: TrainConfig, annotations: Annotations) -> dict[str, Poses]:
    """The poses of a recipe's validation results, by the names of their files up to the first dot.

    Args:
        config: The recipe.
        annotations: Of the validation photos.

    Raises:
        InputError: A file is missing, faulty or of other photos, or two have one name.
    """
    data, root = config.data, Path(config.data.root)
    names = [Path(file).name.split(".")[0] for file in data.validation_results]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{config.name}: data.validation_results has two files {twice[0]!r}; rename one")
    found = {}
    for name, file, layout in zip(names, data.validation_results, data.validation_layouts, strict=True):
        found[name] = read_annotated_poses(root / file, annotations, layout)
        check_images(found[name], annotations, root / file)
    return found


def load_validation(config: TrainConfig, skeleton: Skeleton) -> Validate | None:
    """Read the validation files of a recipe; None if it names no results to refine.

    Raises:
        InputError: A file is missing or faulty, or two have one name, so that a run fails before its first epoch and
            not after it. Photos are looked for, but not read before they are refined.
    """
    data, root = config.data, Path(config.data.root)
    if not data.validation_results:
        return None
    if not data.validation_annotations:
        raise InputError(
            f"{config.name}: data.validation_annotations is empty; name the true poses by which "
            "data.validation_results are judged"
        )
    annotations = read_annotations(root / data.validation_annotations, skeleton)
    inputs = read_validation_poses(config, annotations)
    names = {image_id: info.file_name for image_id, info in annotations.images.items()}
    used = {image_id for poses in inputs.values() for image_id in poses.image_ids}
    photos = find_images(used, root / data.validation_images, names)
    before = {name: evaluate_coco(poses, annotations).ap for name, poses in inputs.items()}

    def validate(network: PoseNetwork) -> dict[str, float]:
        runner = TorchNetwork(network, device=str(next(network.parameters()).device))
        decoder = Decoder(skeleton, config.model.input_size_wh, config.model.decoder)
        backend = HeatmapBackend(
            runner, decoder, skeleton.flip_index, shares_features=config.model.shares_features
        )
        refiner = Refiner(backend, skeleton, config.model.input_size_wh)
        numbers: dict[str, float] = {}
        for name, poses in inputs.items():
            after = evaluate_coco(refiner.refine(poses, photos).poses, annotations).ap
            numbers |= {f"ap_{name}": after, f"ap_gain_{name}": after - before[name]}
        return numbers

    return validate

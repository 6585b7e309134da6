"""From a recipe to a trained model folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from posefix.error_profile import load_error_profile
from posefix.errors import InputError
from posefix.files import ensure_writable, make_folder
from posefix.formats.coco_annotations import read_annotations
from posefix.formats.coco_results import read_results
from posefix.models import WEIGHTS_FILE
from posefix.nn.backbones import load_backbone_weights
from posefix.nn.checkpoint import load_weights, save_network
from posefix.nn.model import RefinementNetwork
from posefix.people import PersonRecords, build_records, find_photos, join_records
from posefix.skeletons import Skeleton, load_skeleton
from posefix.training.config import TrainConfig
from posefix.training.datasets import InputSource, WrongPoseDataset
from posefix.training.loop import CHECKPOINT_FILE, OnEpoch, OnStep, Trainer, start_process
from posefix.training.validation import load_validation


def train(
    config: TrainConfig,
    output: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> bool:
    """Train as a recipe says; `output` becomes a model folder for `posefix export` and `posefix refine --model`.

    Args:
        config: The recipe.
        output: Folder for checkpoints, log and the trained model.
        resume: Continue from the newest checkpoint there.
        device: "auto", "cpu" or "cuda".
        on_step: Called after each step.
        on_epoch: Called after each epoch with its log line.

    Returns:
        Whether this process wrote the model; of several, only the first does.

    Raises:
        InputError: Data, weights or device are missing or do not fit; raised before training starts.
    """
    if not resume and (output / CHECKPOINT_FILE).exists():
        raise InputError(
            f"{output} holds a run already: continue it with --resume, or choose another output folder"
        )
    make_folder(output)
    ensure_writable(output / CHECKPOINT_FILE)
    process = start_process(device)
    skeleton = load_skeleton(config.skeleton)
    records = load_records(config, skeleton)
    torch.manual_seed(config.seed)
    dataset = WrongPoseDataset(
        records,
        skeleton,
        InputSource(
            load_error_profile(config.data.error_profile), config.synthesis, config.data.estimate_rate
        ),
        config.augmentation,
        input_size_wh=config.model.input_size_wh,
        seed=config.seed,
    )
    network, validate = build_network(config, skeleton), load_validation(config, skeleton)
    trainer = Trainer(config, network, dataset, output, process, validate, on_step, on_epoch)
    if resume:
        trainer.resume()
    trainer.run()
    if process.is_first:
        save_network(trainer.best_network(), config.skeleton, output, config.name, dataclasses.asdict(config))
    process.leave()
    return process.is_first


def load_records(config: TrainConfig, skeleton: Skeleton) -> PersonRecords:
    """People of all of a recipe's annotation files."""
    data, root = config.data, Path(config.data.root)
    if not data.annotations:
        raise InputError(f"{config.name}: data.annotations is empty; name COCO keypoint files to train on")
    estimates = [
        read_results(root / results, load_skeleton(layout)).poses
        for results, layout in zip(data.estimates, data.estimate_layouts, strict=True)
    ]
    parts: list[PersonRecords] = []
    for number, (file, images) in enumerate(zip(data.annotations, data.images, strict=True)):
        truth = read_annotations(root / file)
        # Image ids of two sets may be equal, so the estimates belong to one of them.
        records = build_records(
            truth, find_photos(truth, root / images), skeleton, estimates if number == 0 else ()
        )
        parts += [records] * (data.repeats[number] if data.repeats else 1)
    return join_records(parts)


def build_network(config: TrainConfig, skeleton: Skeleton) -> RefinementNetwork:
    """The network with the recipe's initial weights."""
    network = RefinementNetwork(
        config.model,
        skeleton,
        pretrained=not config.backbone_weights and not config.initial_weights,
    )
    if config.backbone_weights not in ("", "none"):
        load_backbone_weights(network.backbone, _existing(Path(config.data.root) / config.backbone_weights))
    if config.initial_weights:
        path = _existing(Path(config.initial_weights))
        load_weights(network, path / WEIGHTS_FILE if path.is_dir() else path)
    return network


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path}: no such file of weights")
    return path

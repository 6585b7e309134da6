"""From a recipe to a trained model folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch

from posefix.errors import InputError
from posefix.files import ensure_writable, make_folder
from posefix.network.models import DESCRIPTION_FILE, load_model, model_names
from posefix.nn.architectures import build_network
from posefix.nn.backbones import Backbone, load_backbone_weights
from posefix.nn.checkpoint import save_network
from posefix.nn.end_to_end import EndToEndNetwork
from posefix.nn.model import PoseNetwork
from posefix.nn.movenet import WIDTHS
from posefix.nn.transfer import start_from
from posefix.nn.trunks import FrozenTrunk, load_trunk_weights
from posefix.pose_errors.profile import load_error_profile
from posefix.skeletons import Skeleton, load_skeleton
from posefix.training.config import TrainConfig
from posefix.training.datasets import InputSource, WrongPoseDataset
from posefix.training.loop import CHECKPOINT_FILE, OnEpoch, OnStep, Process, Trainer, start_process
from posefix.training.packing import PackedDataset
from posefix.training.prepared import load_prepared
from posefix.training.recipe_people import load_records
from posefix.training.step_times import MEASURED_STEPS, WARM_UP_STEPS, StepTimes, time_steps
from posefix.training.trained import trained_epochs
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
    if not resume:
        _check_empty(output)
    make_folder(output)
    ensure_writable(output / CHECKPOINT_FILE)
    process, skeleton = start_process(device), load_skeleton(config.skeleton)
    # Read before the processes wait for each other in `new_trainer`: after it the first one may write the model anew.
    in_model = trained_epochs(output)
    trainer = new_trainer(config, skeleton, output, process, resume=resume)
    trainer.validate = load_validation(config, skeleton)
    trainer.on_step, trainer.on_epoch = on_step, on_epoch
    if resume:
        trainer.resume()
        # A run that was continued and interrupted at its end still has the model of its first end.
        if min(trainer.standing.epoch, in_model) >= config.optimiser.epochs:
            raise InputError(
                f"{output} holds a run that is complete: set more optimiser.epochs to continue it"
            )
    trainer.run()
    if process.is_first:
        save_network(trainer.best_network(), config.skeleton, output, config.name, dataclasses.asdict(config))
    process.leave()
    return process.is_first


def _check_empty(output: Path) -> None:
    if (output / CHECKPOINT_FILE).exists():
        raise InputError(
            f"{output} holds a run already: continue it with --resume, or choose another output folder"
        )
    if (output / DESCRIPTION_FILE).exists():
        raise InputError(f"{output} holds a model already: choose another output folder")


def profile_steps(
    config: TrainConfig,
    *,
    device: str = "auto",
    warm_up: int = WARM_UP_STEPS,
    steps: int = MEASURED_STEPS,
    on_step: Callable[[int, int], None] | None = None,
) -> StepTimes | None:
    """Train for some steps, to see where their time goes; nothing is written.

    Args:
        config: The recipe.
        device: "auto", "cpu" or "cuda".
        warm_up: Steps before those that are measured.
        steps: Steps that are measured, fewer where the recipe has fewer.
        on_step: Called after each step with the steps done and in all.

    Returns:
        The times of the first process; None in the others.

    Raises:
        InputError: As for `train`.
    """
    process = start_process(device)
    trainer = new_trainer(config, load_skeleton(config.skeleton), Path(), process)
    shown = on_step if process.is_first else None
    times = time_steps(trainer, warm_up=warm_up, steps=steps, on_step=shown)
    process.leave()
    return times if process.is_first else None


def new_trainer(
    config: TrainConfig, skeleton: Skeleton, output: Path, process: Process, *, resume: bool = False
) -> Trainer:
    """What trains as a recipe says, with the recipe's initial weights and all of its data at hand.

    Args:
        config: The recipe.
        skeleton: Names the keypoints.
        output: Folder of checkpoints and log.
        process: Rank and device.
        resume: All weights are about to come from a checkpoint, so that the initial ones need not be there.

    Raises:
        InputError: Data or weights are missing or do not fit.
    """
    dataset = load_dataset(config, skeleton, process.device)
    torch.manual_seed(config.seed)
    network = build_network(config.model, skeleton) if resume else initial_network(config, skeleton)
    return Trainer(config, network, dataset, output, process)


def load_dataset(
    config: TrainConfig, skeleton: Skeleton, device: torch.device
) -> WrongPoseDataset | PackedDataset:
    """The people of a recipe, from photos or from shards.

    Args:
        config: The recipe.
        skeleton: Names the keypoints.
        device: That the network is trained on.

    Raises:
        InputError: A file is missing or faulty, or nobody is left; the device is to make crops out of photos.
    """
    if config.crop_on == "device" and not config.data.shards:
        raise InputError(
            "crop_on = 'device' needs data.shards, small pictures; make them with `posefix prepare`"
        )
    records, pictures = (
        load_prepared(config, skeleton) if config.data.shards else (load_records(config, skeleton), None)
    )
    source = InputSource(
        load_error_profile(config.data.error_profile),
        config.synthesis,
        config.data.estimate_rate,
        config.data.improved_rate,
        config.data.crop_around,
        config.data.ad_hoc_synthesis,
    )
    samples = WrongPoseDataset(
        records,
        skeleton,
        source,
        config.augmentation,
        input_size_wh=config.model.input_size_wh,
        seed=config.seed,
        pictures=pictures,
    )
    packed = config.crop_on == "device" or (config.crop_on == "auto" and device.type == "cuda")
    return PackedDataset(samples) if packed and config.data.shards else samples


def initial_network(config: TrainConfig, skeleton: Skeleton) -> PoseNetwork:
    """The network with the recipe's initial weights.

    Raises:
        InputError: Weights are missing or do not fit.
    """
    architecture = config.model.architecture
    pretrained = not config.backbone_weights and (not config.initial_weights or architecture == "end_to_end")
    if pretrained and architecture == "fusion" and config.model.backbone in WIDTHS:
        raise InputError(
            f"{config.name}: backbone_weights is empty, and the trunk {config.model.backbone!r}, which is not trained, "
            "has weights in a file only; name it, or 'none' for random weights"
        )
    network = build_network(config.model, skeleton, pretrained=pretrained)
    if config.backbone_weights not in ("", "none"):
        path = _existing(Path(config.data.root) / config.backbone_weights)
        for module in network.modules():
            if isinstance(module, FrozenTrunk):
                load_trunk_weights(module.trunk, path)
            elif isinstance(module, Backbone) and architecture != "fusion":
                load_backbone_weights(module, path)
    if config.initial_weights:
        part = network.pose_network if isinstance(network, EndToEndNetwork) else network
        start_from(part, skeleton, _start(config.initial_weights))
    return network


def _start(name: str) -> Path:
    """The folder or file of initial weights; a folder of a packaged model's name goes before that model."""
    if name in model_names() and not Path(name).exists():
        return load_model(name).folder
    return _existing(Path(name))


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path}: no such file of weights")
    return path

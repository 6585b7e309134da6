"""The systems that the paper compares, and the lines of its comparisons, as settings of one recipe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from posefix.errors import InputError
from posefix.training.config import TrainConfig
from posefix.training.prepared import share_shards

ExperimentName = Literal["pipelines", "pipelines-of-results", "end-to-end", "baselines", "procedure"]
RESULTS = "results"
"""Stands for the poses of each results file in a `Line`."""

PHOTO_ALONE: Mapping[str, Any] = {"pose_input": False}
GAUSSIAN: Mapping[str, Any] = {"loss": "gaussian_mse", "decoder": "gaussian_peak"}


@dataclass(frozen=True)
class System:
    """A network to train.

    Attributes:
        name: As in the paper's tables.
        model: Settings of `ModelConfig` by which it differs from the recipe's.
        data: Settings of `DataConfig` by which it differs.
        synthesis: Settings of `SynthesisOptions` by which it differs.
        start: The system whose weights it goes on from; empty for the recipe's own start.
    """

    name: str
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    synthesis: Mapping[str, Any] = field(default_factory=dict)
    start: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a table: poses, and perhaps a refiner that was applied to them.

    Attributes:
        poses: The pose network that found them, or `RESULTS`.
        refiner: The system that refined them; empty for none.
        against: The line, by its poses, that the change in AP is counted from; empty for its own poses unrefined.
        label: What the table calls it; empty for what it is made of.
    """

    poses: str
    refiner: str = ""
    against: str = ""
    label: str = ""


_SYSTEMS = (
    System("C2F"),
    System("F2F", {"input_form": "one_hot"}),
    System("C2F-LC", {"loss": "coordinate"}),
    System("C2F-LH", {"loss": "heatmap"}),
    System("C2C", GAUSSIAN),
    System("IntegralPose", PHOTO_ALONE),
    System("Simple", {**PHOTO_ALONE, **GAUSSIAN}),
    System("GlobalNet", {**PHOTO_ALONE, "architecture": "global_net", "decoder": "gaussian_peak"}),
    System("RefineNet", {**PHOTO_ALONE, "architecture": "refine_net", "decoder": "gaussian_peak"}),
    System(
        "PoseRefiner",
        {"architecture": "pose_refiner", "decoder": "expected_similarity"},
        {"ad_hoc_synthesis": True},
    ),
    # C2F again, as the paper's text has it where its code differs, and with crops as at a test without boxes.
    System("C2F, crops around poses", data={"crop_around": "input"}),
    System("C2F, all neighbours", data={"neighbours": "all"}),
    System("C2F, annotated areas", synthesis={"person_area": "annotated"}),
    System("C2F, sum of x and y", {"coordinate_weight": 1.0}),
    System("C2F, mean of labelled", {"loss_average": "labelled"}),
    System("C2F, Gaussians of 1", {"input_height": 1.0}),
    System("E2E-refine", {**PHOTO_ALONE, "architecture": "end_to_end"}, start="IntegralPose"),
)
SYSTEMS: Mapping[str, System] = {system.name: system for system in _SYSTEMS}
"""By name. C2F is PoseFix itself (figure 6)."""

PIPELINES = ("F2F", "C2F", "C2F-LC", "C2F-LH", "C2C")

EXPERIMENTS: Mapping[ExperimentName, tuple[Line, ...]] = {
    # Figure 6. The paper's input is CPN, which is RefineNet.
    "pipelines": tuple(
        Line(poses, refiner) for poses in ("RefineNet", RESULTS) for refiner in ("", *PIPELINES)
    ),
    # Figure 6 without a pose network trained beside them.
    "pipelines-of-results": tuple(Line(RESULTS, refiner) for refiner in ("", *PIPELINES)),
    # Table 1.
    "end-to-end": (
        Line("IntegralPose"),
        Line("E2E-refine", against="IntegralPose"),
        Line("IntegralPose", "C2F", label="MA-refine (C2F)"),
    ),
    # Tables 3, 6 (its input is Simple) and 2 (IntegralPose).
    "baselines": (
        Line("GlobalNet"),
        Line("RefineNet", against="GlobalNet"),
        Line("GlobalNet", "C2F"),
        Line("Simple"),
        Line("Simple", "PoseRefiner"),
        Line("Simple", "C2F"),
        Line("IntegralPose"),
        Line("IntegralPose", "C2F"),
        Line(RESULTS),
        Line(RESULTS, "PoseRefiner"),
        Line(RESULTS, "C2F"),
    ),
    # Where text and code of the paper differ (docs/paper.md).
    "procedure": (
        Line(RESULTS),
        *(Line(RESULTS, refiner=name) for name in SYSTEMS if name == "C2F" or name.startswith("C2F, ")),
    ),
}


def systems_of(lines: tuple[Line, ...]) -> tuple[System, ...]:
    """The systems that some lines need, each once, after the one that it goes on from."""
    names: dict[str, None] = {}
    for line in lines:
        for name in (line.poses, line.refiner):
            if name in SYSTEMS:
                names |= dict.fromkeys(part for part in (SYSTEMS[name].start, name) if part)
    return tuple(SYSTEMS[name] for name in names)


def system_folder(output: Path, system: str, seed: int) -> Path:
    """Where a system is trained; the experiments of one output folder share those that they have in common."""
    return output / f"{folder_name(system.lower())}-seed{seed}"


def folder_name(name: str) -> str:
    """What the folder of a named network is called: commas and spaces become hyphens."""
    return name.replace(", ", "-").replace(" ", "-")


def system_config(recipe: TrainConfig, system: System, output: Path, seed: int) -> TrainConfig:
    """The recipe of one system.

    Pose networks see crops around the true pose, or around the annotated box where the recipe has that; nothing is
    validated on the way. A system whose people are others than those of the recipe's shards is trained from photos.

    Args:
        recipe: Of a refiner, in common for all.
        system: Which.
        output: Folder of the experiment.
        seed: Number of the repetition, from 0.

    Raises:
        InputError: The recipe is of another network, or the system cannot have its shape.
    """
    if recipe.model.architecture not in ("refinement", "fusion") or not recipe.model.pose_input:
        raise InputError(
            f"{recipe.name}: an experiment needs the recipe of a refiner, whose settings its systems change; set "
            "model.architecture = 'refinement' or 'fusion' and model.pose_input = true"
        )
    try:
        model = dataclasses.replace(recipe.model, **system.model)
    except InputError as error:
        raise InputError(f"{recipe.name}, {system.name}: {error}") from error
    around = recipe.data.crop_around
    data = dataclasses.replace(
        recipe.data,
        **{"crop_around": "truth" if around == "input" and not model.pose_input else around, **system.data},
        validation_results=(),
        validation_layouts=(),
    )
    start = str(system_folder(output, system.start, seed)) if system.start else recipe.initial_weights
    config = dataclasses.replace(
        recipe,
        name=f"{recipe.name}-{system.name.lower()}",
        model=model,
        data=data,
        synthesis=dataclasses.replace(recipe.synthesis, **system.synthesis),
        seed=recipe.seed + seed,
        initial_weights=start,
    )
    if share_shards(config, recipe):
        return config
    return dataclasses.replace(config, data=dataclasses.replace(config.data, shards=""))

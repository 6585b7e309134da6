"""A training run as one TOML file."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from posefix.errors import InputError
from posefix.files import read_text
from posefix.nn.model import ModelConfig
from posefix.people import Neighbours
from posefix.pose_errors.synthesis import SynthesisOptions
from posefix.training.augmentation import AugmentationConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGED_RECIPES = Path(__file__).parent.parent / "data" / "recipes"

Precision = Literal["float32", "bfloat16"]
Schedule = Literal["step", "cosine"]
CropAround = Literal["input", "truth", "box"]
CropOn = Literal["auto", "workers", "device"]


def _at_least(config: object, least: float, *names: str) -> None:
    for name in names:
        if not getattr(config, name) >= least:  # not a number is not below either
            raise InputError(f"{name} must be at least {least:g}, got {getattr(config, name)}")


@dataclass(frozen=True)
class OptimiserConfig:
    """Adam and its schedule; the defaults are the paper's (section 6, weight decay from its code).

    Attributes:
        learning_rate: At the start, or at the end of the warm-up.
        weight_decay: L2 penalty.
        batch_size: People a step, over all processes.
        epochs: Passes over the people.
        schedule: "step" lets the rate drop after each epoch of `drops`; "cosine" lets it fall to zero.
        drops: Epochs of the drops.
        drop_factor: What the rate is multiplied by at each.
        warmup_steps: Steps over which the rate rises linearly.
        average: Decay of the moving average of the weights, less in the first steps (`posefix.training.averaging`); 0
            keeps the last weights.
    """

    learning_rate: float = 5e-4
    weight_decay: float = 1e-5
    batch_size: int = 128
    epochs: int = 140
    schedule: Schedule = "step"
    drops: tuple[int, ...] = (90, 120)
    drop_factor: float = 0.1
    warmup_steps: int = 0
    average: float = 0.0

    def __post_init__(self) -> None:
        _at_least(self, 1, "batch_size", "epochs")
        _at_least(self, 0, "learning_rate", "weight_decay", "warmup_steps", "average")
        if not 0 < self.drop_factor <= 1:
            raise InputError(f"drop_factor must be above 0 and at most 1, got {self.drop_factor}")
        if self.average >= 1:
            raise InputError(f"average must be below 1, got {self.average}")
        if not all(type(epoch) is int and epoch >= 0 for epoch in self.drops):
            raise InputError(f"drops must be whole numbers of epochs, got {self.drops}")


@dataclass(frozen=True)
class DataConfig:
    """Where the people are.

    Attributes:
        root: Folder that the paths below, and `backbone_weights`, are relative to.
        annotations: COCO keypoint files.
        images: Folder of each file's photos.
        repeats: How often an epoch shows each file's people; empty for once each.
        estimates: Results files of estimators on the photos of an annotation file; their poses are used as
            inputs beside synthesised ones.
        estimate_layouts: Layout of each of them.
        estimate_sets: Number of the annotation file, from 0, that each of them belongs to; empty for the first.
        consensus_labels: Whether keypoints without a label get one where the estimates agree on their place.
        estimate_rate: Probability that a person who has estimates gets one of them as input.
        improved_rate: Probability that an estimate is brought part of the way to the truth, as a better
            estimator's would be.
        shards: Folder that `posefix prepare` wrote of this recipe's people, to read instead of photos; empty for none.
        held_out: Share of each annotation file's photos that is not trained on, for calibrating the model's
            confidence; empty for none.
        error_profile: Name of a packaged profile or a file.
        neighbours: With whom a person may be mixed up: "all" in the photo, or those whose boxes are "overlapping" (by
            an IoU of .1, as in the paper's code).
        ad_hoc_synthesis: Make poses wrong as PoseRefiner does, not by the error profile (paper, table 6).
        crop_around: What the crop lies around: the "input" pose, as a refiner cuts it that is given no boxes; the
            "truth", for a pose network; or the annotated "box", as in the paper's code. For half bodies and boxes
            without extent the true pose stands in for the box.
        limit: Train on so many people at most, of photos drawn by the checksums of their names; 0 for all.
        validation_annotations: Ground truth of the validation photos; empty for none.
        validation_images: Folder of the validation photos.
        validation_results: Real estimators' results files, refined and evaluated as a user would.
        validation_layouts: Layout of each of them.
        validate_every: Epochs between validations.
    """

    root: str = "."
    annotations: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    repeats: tuple[int, ...] = ()
    estimates: tuple[str, ...] = ()
    estimate_layouts: tuple[str, ...] = ()
    estimate_sets: tuple[int, ...] = ()
    estimate_rate: float = 0.5
    improved_rate: float = 0.0
    consensus_labels: bool = False
    shards: str = ""
    held_out: tuple[float, ...] = ()
    error_profile: str = "paper"
    neighbours: Neighbours = "all"
    ad_hoc_synthesis: bool = False
    crop_around: CropAround = "input"
    limit: int = 0
    validation_annotations: str = ""
    validation_images: str = ""
    validation_results: tuple[str, ...] = ()
    validation_layouts: tuple[str, ...] = ()
    validate_every: int = 5

    def __post_init__(self) -> None:
        _at_least(self, 1, "validate_every")
        _at_least(self, 0, "limit")
        for name in (
            "annotations",
            "images",
            "estimates",
            "estimate_layouts",
            "validation_results",
            "validation_layouts",
        ):
            if not all(isinstance(value, str) for value in getattr(self, name)):
                raise InputError(f"{name} must be texts, got {getattr(self, name)}")
        if not all(type(times) is int and times >= 1 for times in self.repeats):
            raise InputError(f"repeats must be whole numbers from 1, got {self.repeats}")
        if not all(
            type(number) is int and 0 <= number < len(self.annotations) for number in self.estimate_sets
        ):
            raise InputError(
                f"estimate_sets must be numbers of annotation files from 0, got {self.estimate_sets}"
            )
        for name in ("estimate_rate", "improved_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be from 0 to 1, got {getattr(self, name)}")
        if not all(type(share) in (int, float) and 0 <= share <= 1 for share in self.held_out):
            raise InputError(f"held_out must be shares from 0 to 1, got {self.held_out}")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a training run.

    Attributes:
        name: Of the recipe and of the model it makes.
        skeleton: Vocabulary: a packaged skeleton or a file.
        backbone_weights: safetensors file of ImageNet weights, or of MoveNet's trunk; empty for timm's own download,
            "none" for random.
        initial_weights: Model folder or safetensors file to start from, relative to the working directory, or a
            packaged model's name; empty for a new network. Of a model folder with another skeleton, keypoints start
            from those of the same name; an end-to-end network takes its pose network.
        precision: "bfloat16" runs the network under autocast.
        compile: Whether the network is compiled (`torch.compile`): minutes at the start, faster steps on a GPU.
        crop_on: Who makes crops out of shards: "workers" with OpenCV, the "device" for a whole batch at once, or
            "auto", which is the device if it is a GPU.
        seed: Of all randomness.
        workers: Data loading processes; 0 loads in the training process.
    """

    name: str
    skeleton: str = "coco17"
    backbone_weights: str = ""
    initial_weights: str = ""
    precision: Precision = "float32"
    compile: bool = False
    crop_on: CropOn = "auto"
    seed: int = 0
    workers: int = 2
    model: ModelConfig = field(default_factory=ModelConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    synthesis: SynthesisOptions = field(default_factory=SynthesisOptions)

    def __post_init__(self) -> None:
        _at_least(self, 0, "workers", "seed")
        for value, allowed, name in (
            (self.precision, get_args(Precision), "precision"),
            (self.crop_on, get_args(CropOn), "crop_on"),
            (self.optimiser.schedule, get_args(Schedule), "optimiser.schedule"),
            (self.data.crop_around, get_args(CropAround), "data.crop_around"),
            (self.data.neighbours, get_args(Neighbours), "data.neighbours"),
        ):
            if value not in allowed:
                raise InputError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        data = self.data
        for first, second in (
            ("annotations", "images"),
            ("annotations", "repeats"),
            ("annotations", "held_out"),
            ("estimates", "estimate_layouts"),
            ("estimates", "estimate_sets"),
            ("validation_results", "validation_layouts"),
        ):
            lengths = len(getattr(data, first)), len(getattr(data, second))
            optional = second in ("repeats", "held_out", "estimate_sets") and not lengths[1]
            if lengths[0] != lengths[1] and not optional:
                raise InputError(
                    f"data.{first} and data.{second} must be of one length, got {lengths[0]} and {lengths[1]}"
                )


def recipe_names() -> tuple[str, ...]:
    """Names of the packaged recipes."""
    return tuple(sorted(path.stem for path in PACKAGED_RECIPES.glob("*.toml")))


def load_recipe(name_or_path: str | Path, overrides: Mapping[str, str] | None = None) -> TrainConfig:
    """Read a recipe by packaged name or path, with dotted overrides such as ``{"optimiser.epochs": "20"}``.

    Raises:
        InputError: The recipe does not exist, is not TOML, or has a key or value that is wrong.
    """
    name = str(name_or_path)
    file = PACKAGED_RECIPES / f"{name}.toml" if name in recipe_names() else Path(name)
    if not file.is_file():
        raise InputError(f"recipe {name!r} is neither a file nor one of {', '.join(recipe_names())}")
    document = _parse_toml(read_text(file), name)
    for key, value in (overrides or {}).items():
        *path, last = key.split(".")
        table = document
        for part in path:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise InputError(f"{name}: {key!r} is no setting: {part!r} holds no others")
        table[last] = _parse_value(value)
    _check_numbers(document, name)
    config = _build(TrainConfig, document, name)
    assert isinstance(config, TrainConfig)
    return config


def with_defaults(saved: Mapping[str, Any]) -> dict[str, Any]:
    """A saved configuration, as JSON gives it back, with settings that its version did not have at their defaults."""
    return _filled(saved, json.loads(json.dumps(dataclasses.asdict(TrainConfig("")))))


def _filled(saved: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    filled = {
        key: _filled(saved.get(key, {}), value) if isinstance(value, dict) else saved.get(key, value)
        for key, value in defaults.items()
    }
    return {**saved, **filled}


def _parse_toml(text: str, name: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: not a TOML file: {error}") from error
    except (RecursionError, ValueError) as error:  # Python's limits of nesting and of digits
        raise InputError(f"{name}: expected TOML, got brackets or numbers without end") from error
    return document


def _parse_value(text: str) -> Any:
    """A TOML value, or the text itself when it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _check_numbers(value: Any, where: str) -> None:
    """Refuse numbers that TOML or Python has, but no setting: whole ones beyond 64 bits, infinite ones, NaN.

    Raises:
        InputError: There is one.
    """
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError(f"{where}: expected numbers of 64 bits, got one of {value.bit_length()} bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where}: expected a finite number, got {value}")
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        _check_numbers(one, f"{where}: {key}")


def _build(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    """Make a config dataclass from nested tables; unknown keys name the nearest known one."""
    fields = {item.name: item for item in dataclasses.fields(kind)}
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it must be one of {', '.join(fields)}"
            raise InputError(f"{where}: unknown key {key!r}{hint}")
        arguments[key] = _convert(fields[key], value, f"{where}: {key}")
    try:
        return kind(**arguments)
    except (TypeError, InputError) as error:
        raise InputError(f"{where}: {error}") from error


def _convert(item: dataclasses.Field[Any], value: Any, where: str) -> Any:
    default = item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default
    if dataclasses.is_dataclass(default):
        if not isinstance(value, Mapping):
            raise InputError(f"{where} must be a table, got {value!r}")
        return _build(type(default), value, where)
    if default is dataclasses.MISSING or value is None:
        return value
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise InputError(f"{where} must be of type {type(default).__name__}, got {value!r}")
    return value

"""`posefix train`, `calibrate`, `export`: thin doors to the rooms that need PyTorch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from posefix.cli.options import Flag, OptionalOutput, Settings
from posefix.cli.recipe_options import read_recipe, require_pytorch
from posefix.errors import InputError


@Parameter(name="*")
@dataclass(frozen=True)
class TrainingMode:
    """What else to do than to train from the start.

    Attributes:
        resume: Continue from the newest checkpoint in the output folder.
        profile: Train for some steps only, say where their time goes, and write nothing.
    """

    resume: Flag = False
    profile: Flag = False


def train(
    recipe: str,
    /,
    *,
    output: OptionalOutput = None,
    mode: TrainingMode = TrainingMode(),
    device: str = "auto",
    errors: Annotated[str | None, Parameter(negative=())] = None,
    shards: Annotated[Path | None, Parameter(negative=())] = None,
    settings: Settings = None,
) -> None:
    """Train a refiner. Several GPUs: `torchrun --nproc-per-node 4 -m posefix train RECIPE`.

    Args:
        recipe: A packaged recipe's name, or a recipe file (TOML).
        output: Folder for checkpoints, log and model; runs/NAME by default.
        mode: What else to do than to train from the start.
        device: auto, cpu or cuda.
        errors: How often synthesised poses make each error: a packaged profile's name, or a file of `posefix profile`.
        shards: Folder that `posefix prepare` made of this recipe's people, to read instead of their photos.
        settings: A change to the recipe, such as optimiser.epochs=20; may be given several times.
    """
    require_pytorch("train")
    from posefix.cli.progress import ProgressBar
    from posefix.training.run import profile_steps
    from posefix.training.run import train as run

    changes = {}
    if errors is not None:
        changes["data.error_profile"] = json.dumps(errors)  # quoted as in TOML: a name may look like a number
    if shards is not None:
        changes["data.shards"] = json.dumps(str(shards.resolve()))
    config = read_recipe(recipe, settings, changes)
    if mode.profile:
        with ProgressBar("timing steps") as bar:
            times = profile_steps(config, device=device, on_step=bar)
        if times:
            print(times.as_text())
        return
    folder = output or Path("runs") / config.name
    epochs = config.optimiser.epochs
    with ProgressBar("training") as bar:
        written = run(
            config,
            folder,
            resume=mode.resume,
            device=device,
            on_step=lambda epoch, done, steps, loss: bar(
                done, steps, f"epoch {epoch} of {epochs}, loss {loss:.3f}"
            ),
            on_epoch=_print_epoch,
        )
    if written:
        print(f"model: {folder}")


def calibrate(
    model: Path,
    /,
    *,
    recipe: str,
    strengths: tuple[float, float] = (1.0, 1.0),
    strength_in_crowds: float | None = None,
    share: float = 1.0,
    device: str = "auto",
    settings: Settings = None,
) -> None:
    """Teach a trained model how far to trust itself, on the photos that its recipe holds out of training.

    Without it the model gives no confidence, and its never-worse rule knows only its own heatmaps.

    Args:
        model: Folder of a trained model; its model.json gets the calibration.
        recipe: The recipe it was trained with, with a share `data.held_out`.
        strengths: With what share of its strength (above 0, to 1) a pose enters the network at the first look and at
            later ones: with less, the network believes poor poses less.
        strength_in_crowds: The same at the first look at people whose boxes overlap, whom often nothing but the pose
            tells apart; as at other first looks where it is not given.
        share: Of the held-out photos to try each kind of pose on, others for each kind; less takes less time.
        device: auto, cpu or cuda.
        settings: A change to the recipe, such as data.root=../data; may be given several times.
    """
    require_pytorch("calibrate")
    from posefix.training.calibration import calibrate as run

    config = read_recipe(recipe, settings)
    run(
        config,
        model,
        strengths=strengths,
        strength_in_crowds=strength_in_crowds,
        share=share,
        device=device,
        on_pass=lambda line: print(line, flush=True),
    )
    print(f"calibrated: {model}")


def export(
    model: Path,
    /,
    *,
    output: OptionalOutput = None,
) -> None:
    """Write a trained model as an ONNX graph, and compare the two.

    Args:
        model: Folder of a trained model, with model.json and model.safetensors.
        output: Folder to write, a complete model for `posefix refine --model`; by default the graph goes into MODEL.
    """
    require_pytorch("export")
    from posefix.nn.export import export_model

    try:
        difference = export_model(model, output or model)
    except ArithmeticError as error:
        raise InputError(f"{model}: {error}") from error
    print(f"model: {output or model}\nlargest difference to PyTorch: {difference:.4f} logits")


def _print_epoch(numbers: dict[str, float]) -> None:
    print(", ".join(f"{name} {value:g}" for name, value in numbers.items()), flush=True)

"""`posefix synthesize`, `train`, `calibrate`, `export`: thin doors to the rooms that need PyTorch."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from posefix.errors import InputError


@Parameter(name="*")
@dataclass(frozen=True)
class TrainingMode:
    """What else to do than to train from the start.

    Attributes:
        resume: Continue from the newest checkpoint in the output folder.
        profile: Train for some steps only, say where their time goes, and write nothing.
    """

    resume: Annotated[bool, Parameter(negative=())] = False
    profile: Annotated[bool, Parameter(negative=())] = False


def train(
    recipe: str,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    mode: TrainingMode = TrainingMode(),
    device: str = "auto",
    errors: Annotated[str | None, Parameter(negative=())] = None,
    shards: Annotated[Path | None, Parameter(negative=())] = None,
    settings: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
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
    from posefix.training.config import load_recipe
    from posefix.training.run import profile_steps
    from posefix.training.run import train as run

    changes = dict(map(pair, settings or []))
    if errors is not None:
        changes["data.error_profile"] = json.dumps(errors)  # quoted as in TOML: a name may look like a number
    if shards is not None:
        changes["data.shards"] = json.dumps(str(shards.resolve()))
    config = load_recipe(recipe, changes)
    if mode.profile:
        with ProgressBar("profiling") as bar:
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
    device: str = "auto",
    settings: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
) -> None:
    """Teach a trained model how far to trust itself, on the photos that its recipe holds out of training.

    Without it the model gives no confidence, and its never-worse rule knows only its own heatmaps.

    Args:
        model: Folder of a trained model; its model.json gets the calibration.
        recipe: The recipe it was trained with, with a share `data.held_out`.
        strengths: With what share of its strength (above 0, to 1) a pose enters the network at the first look and at
            later ones: with less, the network believes poor poses less.
        device: auto, cpu or cuda.
        settings: A change to the recipe, such as data.root=../data; may be given several times.
    """
    require_pytorch("calibrate")
    from posefix.training.calibration import calibrate as run
    from posefix.training.config import load_recipe

    config = load_recipe(recipe, dict(map(pair, settings or [])))
    run(config, model, strengths=strengths, device=device, on_pass=lambda line: print(line, flush=True))
    print(f"calibrated: {model}")


def export(
    model: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
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


def synthesize(
    annotations: Path,
    /,
    *,
    images: Path,
    output: Annotated[Path, Parameter(alias="-o")] = Path("posefix-synthesis.png"),
    profile: str = "paper",
    people: int = 6,
    seed: int = 0,
    figure: Literal["both", "errors", "poses"] = "both",
) -> None:
    """Draw an example of each error, and true poses beside wrong poses made from them with each error marked.

    Args:
        annotations: A COCO keypoint annotation file.
        images: Folder of its photos.
        output: The picture to write, .png or .jpg.
        profile: How often each error is made: a packaged profile's name, or a profile file.
        people: How many people to show.
        seed: Another number draws other people and errors.
        figure: One panel for each error (figure 3), true beside synthesised poses (figure 4), or both.
    """
    from posefix.drawing import check_picture_path, write_picture
    from posefix.examples import draw_examples

    check_picture_path(output)
    write_picture(
        output, draw_examples(annotations, images, profile, people=people, seed=seed, figure=figure)
    )
    print(f"picture: {output}")


def _print_epoch(numbers: dict[str, float]) -> None:
    print(", ".join(f"{name} {value:g}" for name, value in numbers.items()), flush=True)


def pair(setting: str) -> tuple[str, str]:
    """Key and value of a change to a recipe.

    Raises:
        InputError: It is not key=value.
    """
    key, equals, value = setting.partition("=")
    if not equals:
        raise InputError(f"--set: expected key=value such as optimiser.epochs=20, got {setting!r}")
    return key, value


def require_pytorch(command: str) -> None:
    """Raise if what training needs is not installed.

    Raises:
        InputError: Names what is missing and how to install it.
    """
    missing = [name for name in ("torch", "timm", "safetensors") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"posefix {command} needs {', '.join(missing)}, not installed here; run: pip install 'posefix[train]'"
        )

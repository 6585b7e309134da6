"""`posefix experiment`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from posefix.cli.options import Files, Output, Settings, Words
from posefix.cli.recipe_options import read_recipe, require_pytorch
from posefix.errors import InputError

if TYPE_CHECKING:
    from posefix.training.config import DataConfig


@Parameter(name="*", group="Data (those of the recipe by default)")
@dataclass(frozen=True, kw_only=True)
class ExperimentData:
    """Whom to train on and whom to judge by."""

    annotations: Files = None
    """COCO keypoint files to train on."""
    images: Files = None
    """Folder of each file's photos."""
    results: Files = None
    """Poses on the validation photos, to be refined: files of any format that `posefix refine` takes."""
    layouts: Words = None
    """Layout of each results file: a name of `posefix skeleton`, or a skeleton file."""
    validation_annotations: Path | None = None
    """COCO keypoint file of the people to judge by."""
    validation_images: Path | None = None
    """Folder of their photos."""


RECIPE_DATA = ExperimentData()


@Parameter(name="*", group="Files to write")
@dataclass(frozen=True, kw_only=True)
class ExperimentFiles:
    """Where results go."""

    output: Output = Path("runs/experiment")
    """Folder for the trained systems, the table and its numbers."""
    tables: Path | None = None
    """Folder for the table and its numbers alone: run again with other people to judge by and another folder, the same
    trained systems are judged once more."""
    plot: Path | None = None
    """Also draws AP of the systems as bars (figure 6), .svg, .png or .pdf."""


EXPERIMENT_FILES = ExperimentFiles()


def experiment(
    name: Literal["pipelines", "pipelines-of-results", "end-to-end", "baselines", "procedure"],
    /,
    *,
    recipe: str = "experiment",
    files: ExperimentFiles = EXPERIMENT_FILES,
    seeds: int = 3,
    device: str = "auto",
    settings: Settings = None,
    people: ExperimentData = RECIPE_DATA,
) -> None:
    """Train the systems of one of the paper's comparisons with one recipe, judge them, and print the table.

    pipelines is figure 6, end-to-end table 1, baselines tables 2, 3 and 6; procedure tries settings that
    differ between the paper's text, its code and our defaults. pipelines-of-results is figure 6 of estimators' poses
    alone, for which there is the recipe experiment-trunk. Run again, it goes on where it stopped; a system that two
    comparisons share is trained once if they have one output folder.

    Args:
        name: Which comparison.
        recipe: A packaged recipe's name, or a recipe file (TOML), of a refiner.
        files: Where results go.
        seeds: How often everything is trained.
        device: auto, cpu or cuda.
        settings: A change to the recipe, such as optimiser.epochs=20; may be given several times.
        people: Whom to train on and whom to judge by.
    """
    require_pytorch("experiment")
    from posefix.cli.progress import ProgressBar
    from posefix.training.experiments import Experiment

    if files.plot is not None:
        from posefix.cli.report_options import require_plots

        require_plots("--plot")
        from posefix.report.files import check_figure_path

        check_figure_path(files.plot)
    config = read_recipe(recipe, settings)
    config = dataclasses.replace(config, data=_with_people(config.data, people))
    epochs = config.optimiser.epochs
    with ProgressBar("training") as bar:
        table = Experiment(
            name,
            config,
            files.output,
            seeds=seeds,
            device=device,
            report=lambda line: print(line, flush=True),
            on_step=lambda epoch, done, steps, loss: bar(
                done, steps, f"epoch {epoch} of {epochs}, loss {loss:.3f}"
            ),
            tables=files.tables,
        ).run()
    numbers = (files.tables or files.output) / f"{name}.json"
    print(f"{table}\nnumbers: {numbers}")
    if files.plot is not None:
        _draw(files.plot, numbers)


def _draw(plot: Path, numbers: Path) -> None:
    from posefix.files import read_json
    from posefix.report.figures import draw_experiment, experiment_panels
    from posefix.report.files import write_figure

    rows = read_json(numbers)["lines"]
    bars = sum(1 + len(systems) for _, systems in experiment_panels(rows))
    write_figure(plot, lambda figure: draw_experiment(figure, rows), size=(1.5 + 0.75 * bars, 3.6))
    print(f"plot: {plot}")


def _with_people(data: DataConfig, people: ExperimentData) -> DataConfig:
    """The recipe's data with those that were given; paths are those of the shell, not of `data.root`."""
    if (people.annotations is None) != (people.images is None):
        raise InputError("--annotations and --images belong together: give a folder of photos for each file")
    if people.annotations and people.images:
        data = dataclasses.replace(
            data,
            annotations=_absolute(people.annotations),
            images=_absolute(people.images),
            repeats=(),
            held_out=(),
            estimates=(),
            estimate_layouts=(),
            estimate_sets=(),
        )
    if people.results is not None:
        if len(people.results) != len(people.layouts or ()):
            raise InputError("--results and --layouts belong together: give a layout for each results file")
        data = dataclasses.replace(
            data, validation_results=_absolute(people.results), validation_layouts=tuple(people.layouts or ())
        )
    if people.validation_annotations is not None:
        data = dataclasses.replace(data, validation_annotations=str(people.validation_annotations.resolve()))
    if people.validation_images is not None:
        data = dataclasses.replace(data, validation_images=str(people.validation_images.resolve()))
    return data


def _absolute(paths: list[Path]) -> tuple[str, ...]:
    return tuple(str(path.resolve()) for path in paths)

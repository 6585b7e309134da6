"""`posefix bulk`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from posefix.cli.options import Category, Exif, Layout, PoseFormat
from posefix.cli.refine import DEFAULT_MODEL, DEFAULT_OUTPUT, EXIT_PHOTOS_FAILED, ModelOptions, OutputOptions

if TYPE_CHECKING:
    from posefix.bulk.run import Standing
    from posefix.bulk.settings import Settings
    from posefix.cli.progress import ProgressBar


@Parameter(name="*", group="Input")
@dataclass(frozen=True, kw_only=True)
class BulkInput:
    """How the input is read."""

    layout: Layout = None
    format: PoseFormat = None
    annotations: Annotated[
        str | None, Parameter(help="COCO annotation file, or its address, that names the photos.")
    ] = None
    category: Category = None
    exif: Exif = "apply"
    on_error: Literal["keep", "stop"] = "keep"
    """Photos that are missing or broken, faulty files, people without keypoints: keep them as they are, list them in
    OUT/faults.parquet and exit with code 3, or stop at the first."""
    sample: int = 1000
    """People on whom the estimator's company is measured, drawn at random, where there is no --company."""
    retries: int = 5
    """How often a store is asked that fails, and a unit is tried whose worker dies, before the unit is put aside."""


@Parameter(name="*", group="Fleet")
@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """Which workers there are."""

    address: str | None = None
    """auto or HOST:PORT of a Ray cluster; by default a Ray is started on this machine, and stopped."""
    workers: int | None = None
    """How many; by default as many as there is room for."""
    cpus_per_worker: float | None = None
    """Cores of each; by default their share, 4 where nobody says how many workers there are."""
    gpus_per_worker: float | None = None
    """GPUs of each, such as .5 for two on a GPU; by default one each where there are GPUs."""
    every: float = 60.0
    """Seconds between the lines of JSON that say how far the work is, where standard error is not a terminal."""


DEFAULT_INPUT, DEFAULT_FLEET = BulkInput(), FleetOptions()


def bulk(
    inputs: list[str],
    /,
    *,
    images: str,
    output: Annotated[str, Parameter(alias="-o")],
    reading: BulkInput = DEFAULT_INPUT,
    writing: OutputOptions = DEFAULT_OUTPUT,
    running: ModelOptions = DEFAULT_MODEL,
    fleet: FleetOptions = DEFAULT_FLEET,
) -> int:
    """Refine very many poses on all cores, or on a Ray cluster; the same command goes on where it stopped.

    Args:
        inputs: Files of poses of one format, a folder of them, a quoted pattern, or @LIST, a text file with an address
            a line; or a Parquet data set (docs/bulk.md). Paths, or addresses such as s3://bucket/poses.
        images: Where the photos are: a folder, an archive or a folder of archives (.tar), or column:NAME of a Parquet
            data set; paths or addresses.
        output: Folder, or address of one, for poses/, ledger/, faults.parquet and report.json.
        reading: How the input is read.
        writing: What the output holds.
        running: What runs, and where; --threads are those of each worker.
        fleet: Which workers there are.

    Returns:
        Exit code.
    """
    from posefix.bulk.cluster import Fleet, require_ray
    from posefix.cli.progress import ProgressBar
    from posefix.errors import InputError

    require_ray()
    from posefix.bulk.run import run

    if reading.retries < 1 or not fleet.every > 0:
        raise InputError("--retries, --every: expected numbers above 0")
    with ProgressBar("units") as bar:
        report = run(
            inputs,
            _settings(images, output, reading, writing, running),
            Fleet(
                address=fleet.address,
                workers=fleet.workers,
                cpus_per_worker=fleet.cpus_per_worker,
                gpus_per_worker=fleet.gpus_per_worker,
            ),
            company=running.company,
            sample=reading.sample,
            on_standing=_Teller(bar, fleet.every),
        )
    print(report)
    print(f"written to {output}")
    return EXIT_PHOTOS_FAILED if report.faults else 0


def _settings(
    images: str, output: str, reading: BulkInput, writing: OutputOptions, running: ModelOptions
) -> Settings:
    from posefix.bulk.photos import COLUMN
    from posefix.bulk.places import Patience, absolute
    from posefix.bulk.settings import Model, Settings

    return Settings(
        out=absolute(output),
        images=images if images.startswith(COLUMN) else absolute(images),
        model=Model(
            model=_model(running.model),
            flip=running.flip,
            caution=running.caution,
            looks=running.looks,
            device=running.device,
            runtime=running.runtime,
            scores=writing.scores,
        ),
        layout=_layout(reading.layout),
        format=reading.format,
        annotations=None if reading.annotations is None else absolute(reading.annotations),
        category=reading.category,
        exif=reading.exif,
        missing=writing.missing,
        carry_along=writing.carry_along,
        update_boxes=writing.update_boxes,
        oks_nms=writing.oks_nms,
        on_error=reading.on_error,
        threads=running.threads,
        batch_size=running.batch_size,
        patience=Patience(reading.retries),
    )


def _model(name: str) -> str:
    """A model folder by its whole path, since workers run elsewhere; a packaged model's name is none of a folder."""
    from posefix.network.models import model_names

    return str(Path(name).absolute()) if name not in model_names() and Path(name).is_dir() else name


def _layout(name: str | None) -> str | None:
    """A skeleton file by its whole path."""
    return str(Path(name).absolute()) if name is not None and Path(name).is_file() else name


class _Teller:
    """Tells how far the work is: to a terminal a bar, to others a line of JSON now and then."""

    def __init__(self, bar: ProgressBar, every: float) -> None:
        self._bar, self._every, self._next = bar, every, time.monotonic() + every

    def __call__(self, standing: Standing) -> None:
        label = f"units, {standing.people_per_second:.0f} people/s, {standing.faults} faults"
        self._bar(standing.done_units, standing.units, label)
        if not sys.stderr.isatty() and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every
            print(standing.as_line(), file=sys.stderr, flush=True)

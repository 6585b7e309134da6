"""Refinement as a step of somebody's own pipeline of Ray Data."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posefix.bulk.cluster import require_ray
from posefix.bulk.people import Desk, Tally
from posefix.bulk.photos import COLUMN, clear_folders, open_photos, own_folder
from posefix.bulk.places import absolute
from posefix.bulk.settings import Model, Settings
from posefix.bulk.survey import is_sound
from posefix.bulk.tables import check_columns, photo_column, poses_of, refine_table
from posefix.errors import InputError
from posefix.photos.finding import Exif
from posefix.refine.company import Company
from posefix.refine.merge import Missing
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

FAULT = "fault"
"""Column that is added: why people of a row were passed on as they were; null where nothing was wrong."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the rows of a data set are refined.

    Attributes:
        model: What refines.
        sample: People on whom the company is measured.
        batch_size: Rows handed to a worker at a time; of no account for the result.
        workers: How many; None lets Ray have as many as there is room for.
        cpus_per_worker: Cores of each, and threads of the network.
        gpus_per_worker: GPUs of each, such as 1 or .5.
        missing: As of `Refiner.refine`.
        carry_along: Move keypoints that the model does not know with others.
        exif: As of `Refiner.refine`.
    """

    model: Model = field(default_factory=Model)
    sample: int = 1000
    batch_size: int = 256
    workers: int | None = None
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0
    missing: Missing = "fill"
    carry_along: bool = False
    exif: Exif = "apply"

    def settings(self, images: str, layout: str) -> Settings:
        """What workers are told."""
        return Settings(
            out="",
            images=images if images.startswith(COLUMN) else absolute(images),
            model=self.model,
            layout=layout,
            missing=self.missing,
            carry_along=self.carry_along,
            exif=self.exif,
            threads=None if self.gpus_per_worker else max(1, int(self.cpus_per_worker)),
        )


DEFAULT = Options()


def refine(
    dataset: Dataset,
    *,
    images: str,
    layout: str,
    company: Company | str | Path | None = None,
    options: Options = DEFAULT,
) -> Dataset:
    """Refine the poses in a data set, lazily, as a step of a pipeline.

    A row is a photo; columns are those of docs/bulk.md. The same columns come back, and `fault`: why people of the row
    were passed on as they were, null where nothing was wrong.

    Example:
        >>> import ray, posefix.bulk  # doctest: +SKIP
        >>> found = ray.data.read_parquet("s3://bucket/found")  # doctest: +SKIP
        >>> refined = posefix.bulk.refine(found, images="s3://bucket/photos", layout="coco17")  # doctest: +SKIP
        >>> refined.write_parquet("s3://bucket/refined")  # doctest: +SKIP

    Args:
        dataset: Of photos with people.
        images: A folder, archives, or column:NAME, as of `posefix bulk --images`.
        layout: Skeleton of the keypoints, a name or a file that is there on every machine.
        company: What is known of the estimator, or a file that `posefix company` wrote. None measures it on rows drawn
            at random, for which the data set is read once more.
        options: How.

    Raises:
        InputError: The extra is not installed, columns are missing, or photos are not there.
    """
    require_ray()
    settings = options.settings(images, layout)
    schema = dataset.schema()
    if schema is None:
        raise InputError("dataset: expected rows, got none")
    check_columns(schema.base_schema, "dataset", photo_column(settings))
    refiner = settings.model.refiner(settings.threads)
    if company is None:
        company = _measured(dataset, settings, refiner, options.sample)
    known = refiner.with_company(company).company
    return dataset.map_batches(
        Rows,
        fn_constructor_args=(settings, known),
        batch_format="pyarrow",
        batch_size=options.batch_size,
        num_cpus=options.cpus_per_worker,
        num_gpus=options.gpus_per_worker,
        compute=_workers(options.workers),
    )


def _workers(count: int | None) -> Any:
    from ray.data import ActorPoolStrategy

    return ActorPoolStrategy(min_size=1) if count is None else ActorPoolStrategy(size=count)


class Rows:
    """Refines batches of rows; made by Ray Data on any machine.

    Args:
        settings: What is to be done.
        company: Of the estimator.
    """

    def __init__(self, settings: Settings, company: Company) -> None:
        self._settings, self._company = settings, company

    def __call__(self, table: pa.Table) -> pa.Table:
        """The same rows, refined, with a column more."""
        import pyarrow as pa

        tally = Tally()
        skeleton = load_skeleton(str(self._settings.layout))
        refined = refine_table(self._desk, table, skeleton, "dataset", tally, photo_column(self._settings))
        reasons: list[str | None] = [None] * table.num_rows
        for fault in tally.faults:
            row = int(fault.record.split(",")[0].removeprefix("row "))
            told = "; ".join(filter(None, (reasons[row], fault.reason)))
            reasons[row] = told
        return refined.append_column(FAULT, pa.array(reasons, pa.string()))

    @cached_property
    def _desk(self) -> Desk:
        # Made where it is used: what it holds does not travel.
        clear_folders()
        self._stack = ExitStack()
        settings = self._settings
        refiner = settings.model.refiner(settings.threads, settings.batch_size).with_company(self._company)
        folder = self._stack.enter_context(own_folder())
        return Desk(settings, refiner, open_photos(settings.images, settings.patience), None, folder)


def _measured(dataset: Dataset, settings: Settings, refiner: Refiner, sample: int) -> Company:
    """The company of people in rows drawn at random.

    Raises:
        InputError: No photo of them can be read.
    """
    count = dataset.count()
    rows = min(count, sample)
    drawn = dataset.random_sample(min(1.0, 2 * rows / max(count, 1)), seed=0).take(rows) or dataset.take(rows)
    import pyarrow as pa

    poses, names = poses_of(
        pa.Table.from_pylist(drawn, schema=dataset.schema().base_schema),
        load_skeleton(str(settings.layout)),
        photo_column(settings),
    )
    with tempfile.TemporaryDirectory() as folder:
        photos = open_photos(settings.images, settings.patience)
        poses = poses[:sample]
        found, _ = photos.files(list(dict.fromkeys(poses.image_ids)), names, Path(folder))
        sound = {one: path for one, path in found.items() if is_sound(path)}
        kept = [row for row, one in enumerate(poses.image_ids) if one in sound]
        if not kept:
            raise InputError(f"images: {settings.images}: no photo of the rows that were drawn can be read")
        return refiner.measure_company(poses[kept], sound, exif=settings.exif)

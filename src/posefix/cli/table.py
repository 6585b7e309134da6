"""`posefix table`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from posefix.cli.options import Category, Flag, OptionalOutput, Words
from posefix.errors import InputError

if TYPE_CHECKING:
    from posefix.evaluation.judge import Judge
    from posefix.evaluation.measured import MeasuredRows, ResultsToMeasure
    from posefix.evaluation.published import PublishedRows
    from posefix.skeletons import Skeleton


@Parameter(name="*", group="Ground truth")
@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What results are measured against, and how."""

    annotations: Path | None = None
    """Ground truth: a COCO annotation file, or a folder of PoseTrack 2018 annotation files."""
    annotations_layout: str | None = None
    """Skeleton of the annotated people, if the file does not name their keypoints, or by other names; by default that
    of the results, if the file names none."""
    category: Category = None
    metric: Literal["coco", "crowdpose", "posetrack", "pckh", "pck"] | None = None
    """Whose rules; by default as `posefix evaluate` chooses."""
    any_images: Flag = False
    """Compare results that hold poses of different images: an image without poses is one where nobody was found."""

    def judge(self, layout: Skeleton | None) -> Judge | None:
        """The ground truth and its metric; None where there is none.

        Args:
            layout: Skeleton of the results.
        """
        from posefix.evaluation.judge import Judge
        from posefix.interchange.pose_files import load_layout

        if self.annotations is None:
            return None
        named = load_layout(self.annotations_layout) or layout
        overrule = self.annotations_layout is not None
        return Judge.read(self.annotations, self.metric, named, self.category, overrule=overrule)


NOT_MEASURED = MeasureOptions()


def table(
    *results: str,
    measuring: MeasureOptions = NOT_MEASURED,
    layout: Words = None,
    refined: Words = None,
    rows: Words = None,
    style: Annotated[Literal["text", "csv", "latex", "markdown"], Parameter(name="--format")] = "text",
    output: OptionalOutput = None,
) -> None:
    """Print one table of any number of results, before and after refinement, and of published numbers.

    The columns are those of the metric that `posefix evaluate` would choose by the annotations.

    Args:
        results: Poses, FILE or NAME=FILE: files of any format that `posefix refine` takes, or folders of one, such as
            PoseTrack 2018 results.
        measuring: What results are measured against, and how.
        layout: Skeleton of the results: one for all, or one for each in the same order.
        refined: Refined results, one for each of RESULTS in the same order.
        rows: Published rows to set above: files, or any of paper-table1 to paper-table6.
        style: How the table is written.
        output: File to write; standard output when left out.
    """
    from posefix.evaluation.judge import COLUMNS
    from posefix.evaluation.published import read_published_rows
    from posefix.evaluation.tables import Table
    from posefix.files import ensure_not_input, ensure_writable, write_text_atomic

    if not results and not rows:
        raise InputError("table: expected results files, --rows, or both; got neither")
    files = _files(results, layout or [], refined or [])
    _check_options(files, measuring, layout or [])
    if output is not None:
        read = [path for file in files for path in (file.path, file.refined)]
        ensure_not_input(output, [*read, measuring.annotations, *(layout or []), *(rows or [])])
        ensure_writable(output)
    published = [read_published_rows(name, COLUMNS) for name in rows or []]
    judge = measuring.judge(files[0].skeleton if files else None)
    metric = _common_metric(published, judge)
    measured = _measure(files, judge, measuring.any_images)
    typed = tuple(row for part in published for row in part.rows)
    every = typed + (measured.rows if measured else ())
    text = Table(COLUMNS[metric], every, measured.notes if measured else ()).render(style)
    if output is None:
        print(text, end="")
        return
    write_text_atomic(output, text)
    print(f"table: {output}")


def _check_options(
    files: Sequence[ResultsToMeasure], measuring: MeasureOptions, layout: Sequence[str]
) -> None:
    """Refuse results without a ground truth, and options that would have no effect."""
    if files and measuring.annotations is None:
        raise InputError("--annotations: expected the ground truth of the results, got none")
    if not files and (measuring != NOT_MEASURED or layout):
        raise InputError("--annotations, --layout, --any-images: need RESULTS, which are measured; got none")


def _common_metric(published: Sequence[PublishedRows], judge: Judge | None) -> str:
    """Whose columns the table has: those of the rules of the ground truth, if there is one."""
    metric = published[0].metric if judge is None else judge.metric
    for part in published:
        if part.metric != metric:
            raise InputError(
                f"--rows: expected rows of the metric {metric!r}, as the others, got {part.metric!r}"
            )
    return metric


def _measure(files: Sequence[ResultsToMeasure], judge: Judge | None, any_images: bool) -> MeasuredRows | None:
    from posefix.cli.progress import ProgressBar
    from posefix.evaluation.measured import measure_files

    if judge is None:
        return None
    with ProgressBar("results") as progress:
        return measure_files(files, judge, any_images=any_images, progress=progress)


def _files(results: Sequence[str], layouts: Sequence[str], refined: Sequence[str]) -> list[ResultsToMeasure]:
    from posefix.evaluation.measured import ResultsToMeasure

    count = len(results)
    if refined and len(refined) != count:
        raise InputError(f"--refined: expected one for each of {count} results, got {len(refined)}")
    if layouts and len(layouts) not in (1, count):
        raise InputError(f"--layout: expected one, or one for each of {count} results, got {len(layouts)}")
    skeletons = _skeletons(layouts, count)
    after: list[Path | None] = [Path(path) for path in refined] or [None] * count
    named = [_named(text) for text in results]
    if len({name for name, _ in named}) < count:
        raise InputError("results: expected a name of its own for each, write NAME=FILE")
    return [
        ResultsToMeasure(name, path, skeleton, second)
        for (name, path), skeleton, second in zip(named, skeletons, after, strict=True)
    ]


def _skeletons(layouts: Sequence[str], count: int) -> list[Skeleton | None]:
    from posefix.skeletons import load_skeleton

    each = list(layouts) * count if len(layouts) == 1 else list(layouts)
    return [load_skeleton(layout) for layout in each] or [None] * count


def _named(text: str) -> tuple[str, Path]:
    """NAME=FILE, or a file that is called as it is."""
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        return name, Path(path)
    return Path(text).name.removesuffix(".json"), Path(text)

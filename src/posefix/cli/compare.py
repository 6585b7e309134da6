"""`posefix compare`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from posefix.cli.options import Exif, Flag
from posefix.cli.report_options import ReportOptions
from posefix.cli.truth_options import TruthOptions

if TYPE_CHECKING:
    from posefix.analysis import Comparison
    from posefix.formats.coco_annotations import Annotations
    from posefix.photos.finding import ImageId
    from posefix.pose.poses import Poses
    from posefix.report.figures import OksLine


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PeopleOptions:
    """Which people are compared."""

    match: Literal["rows", "people"] | None = None
    """Row by row, for a refinement, or the people whom both files find; by default rows, where both hold the same."""
    strict: Flag = False
    """Stop where a photo is in the results or in the annotations only, instead of counting such photos."""


@Parameter(name="*", group="Files to write")
@dataclass(frozen=True, kw_only=True)
class ComparisonReportOptions(ReportOptions):
    """Files besides the text on the terminal."""

    beside: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None
    """NAME=FILE, or FILE, that `posefix compare --json` wrote of other estimators: further lines in --plot."""

    def others(self) -> list[tuple[str, Path]]:
        """Name and file of each of the other estimators."""
        return [_named(text) for text in self.beside or []]


def compare(
    before: Path,
    after: Path,
    /,
    *,
    truth: TruthOptions,
    layout: str | None = None,
    after_layout: str | None = None,
    people: PeopleOptions | None = None,
    report: ComparisonReportOptions | None = None,
) -> None:
    """Tell what became of the same people: errors repaired and made, OKS and AP before and after.

    Args:
        before: Poses to start from: a file of any format that `posefix refine` takes.
        after: Their refinement, or the results of another estimator on the same photos.
        truth: How the ground truth is read.
        layout: Skeleton of the results, if the file does not say it: a name of `posefix skeleton`, or a skeleton file.
        after_layout: Skeleton of the results after; that of those before when left out.
        people: Which people are compared.
        report: Files besides the text on the terminal.
    """
    import json

    from posefix.analysis import compare as compare_results
    from posefix.cli.progress import ProgressBar
    from posefix.files import write_text_atomic

    options, files = people or PeopleOptions(), report or ComparisonReportOptions()
    beside = [path for _, path in files.others()]
    files.check(before, after, truth.annotations, layout, after_layout, truth.annotations_layout, *beside)
    lines = _lines_beside(files)
    labels = truth.read(layout)
    first = truth.read_poses(before, labels, layout)
    second = truth.read_poses(after, labels, after_layout or layout)
    photos = files.find_photos({before: first, after: second}, labels)
    with ProgressBar("resampling photos") as progress:
        comparison = compare_results(
            first, second, labels, match=options.match, strict=options.strict, progress=progress
        )
    print(f"before: {before}\nafter: {after}\nannotations: {truth.annotations}")
    print(comparison.table())
    if files.json_file is not None:
        write_text_atomic(files.json_file, json.dumps(comparison.as_dict()) + "\n")
    if files.plot is not None:
        _plot(files.plot, comparison, before, lines)
    if files.html is not None:
        page = _page(comparison, (first, second), labels, (before.name, after.name), photos, files.exif)
        write_text_atomic(files.html, page)
        print(f"report: {files.html}")


def _lines_beside(files: ComparisonReportOptions) -> list[OksLine]:
    """The lines of other estimators."""
    from posefix.errors import InputError

    if not files.beside:
        return []
    if files.plot is None:
        raise InputError("--beside: these lines are only for the plot, give it a name with --plot")
    from posefix.report.figures import read_oks_line  # needs matplotlib, which only plots bring

    return [read_oks_line(name, path) for name, path in files.others()]


def _named(text: str) -> tuple[str, Path]:
    """NAME=FILE, or a file that is called as it is up to the first dot."""
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        return name, Path(path)
    return _stem(text), Path(text)


def _plot(path: Path, comparison: Comparison, before: Path, beside: list[OksLine]) -> None:
    from posefix.report.figures import draw_comparison, oks_line
    from posefix.report.files import write_figure

    lines = [oks_line(_stem(before), comparison), *beside]
    write_figure(path, lambda figure: draw_comparison(figure, comparison, lines), size=(9.6, 4.2))
    print(f"plot: {path}")


def _stem(path: str | Path) -> str:
    """The name of an estimator: that of its file up to the first dot."""
    return Path(path).name.split(".")[0]


def _page(
    comparison: Comparison,
    results: tuple[Poses, Poses],
    annotations: Annotations,
    names: tuple[str, str],
    photos: dict[ImageId, Path] | None,
    exif: Exif,
) -> str:
    """The page, with what errors cost before and after."""
    from posefix.analysis import analyze
    from posefix.cli.progress import ProgressBar
    from posefix.errors import InputError
    from posefix.report import comparison_page

    analyses = []
    for name, poses in zip(names, results, strict=True):
        try:
            with ProgressBar("repairing") as progress:
                analyses.append(analyze(poses, annotations, progress=progress))
        except InputError as error:
            raise InputError(f"no report, as {name} cannot be analysed: {error}") from error
    before, after = analyses
    with ProgressBar("pictures") as progress:
        return comparison_page(
            comparison, annotations, (before, after), names=names, photos=photos, exif=exif, progress=progress
        )

"""`posefix analyze`."""

from __future__ import annotations

from pathlib import Path

from posefix.cli.options import Flag
from posefix.cli.report_options import ReportOptions
from posefix.cli.truth_options import TruthOptions


def analyze(
    results: Path,
    /,
    *,
    truth: TruthOptions,
    layout: str | None = None,
    strict: Flag = False,
    report: ReportOptions | None = None,
) -> None:
    """Tell which errors a results file makes, where, and what each kind costs in AP.

    Args:
        results: Poses: a file of any format that `posefix refine` takes.
        truth: How the ground truth is read.
        layout: Skeleton of the results, if the file does not say it: a name of `posefix skeleton`, or a skeleton file.
        strict: Stop where a photo is in one of the two files only, instead of counting such photos.
        report: Files besides the text on the terminal.
    """
    import json

    from posefix.analysis import analyze as find_errors
    from posefix.cli.progress import ProgressBar
    from posefix.files import write_text_atomic

    options = report or ReportOptions()
    options.check(results, truth.annotations, layout, truth.annotations_layout)
    labels = truth.read(layout)
    poses = truth.read_poses(results, labels, layout)
    photos = options.find_photos({results: poses}, labels)
    with ProgressBar("repairing") as progress:
        analysis = find_errors(poses, labels, strict=strict, progress=progress)
    print(f"{results} on {truth.annotations}")
    print(analysis.table())
    if options.json_file is not None:
        write_text_atomic(options.json_file, json.dumps(analysis.as_dict()) + "\n")
    if options.plot is not None:
        from posefix.report.files import write_figure
        from posefix.report.plots import draw_statuses

        breakdowns = (analysis.overall, analysis.groups)
        height = 1.2 + 0.29 * (1 + len(analysis.groups.labels))
        write_figure(
            options.plot, lambda figure: draw_statuses(figure, breakdowns=breakdowns), size=(6.4, height)
        )
        print(f"plot: {options.plot}")
    if options.html is not None:
        from posefix.report import analysis_page

        with ProgressBar("pictures") as progress:
            page = analysis_page(
                analysis,
                labels,
                results_name=results.name,
                photos=photos,
                exif=options.exif,
                progress=progress,
            )
        write_text_atomic(options.html, page)
        print(f"report: {options.html}")

"""The pages: everything in one file, which asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from posefix import __version__
from posefix.analysis.comparison import Comparison
from posefix.analysis.costs import Progress
from posefix.analysis.error_analysis import ErrorAnalysis
from posefix.analysis.tables import share
from posefix.errors import plural
from posefix.evaluation.percentages import percent, signed
from posefix.evaluation.repairs import Repairs
from posefix.formats.coco_annotations import Annotations
from posefix.photos.finding import Exif
from posefix.pose.poses import ImageId
from posefix.pose_errors.taxonomy import STATUS_NAMES
from posefix.report.cases import Gallery, Kinds, build_gallery, changed_most, worst_of_each_error
from posefix.report.exhibits import Exhibit, analysis_exhibits, comparison_exhibits
from posefix.report.people import analysis_columns, comparison_columns, people_data, sizes

Photos = Mapping[ImageId, Path]


@dataclass(frozen=True)
class Headline:
    """A number that a reader should take away.

    Attributes:
        label: what it is.
        value: the number, with its unit.
        detail: one line below.
    """

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Page:
    """What a page says.

    Attributes:
        title: its heading.
        sources: names of the files, by what they are.
        headlines: the numbers at its top.
        notes: sentences on what was compared.
        exhibits: figures.
        matrix: rows of statuses before, with cells of statuses after; None for one results file.
        gallery: people with pictures; None without photos.
        data: what the script reads.
    """

    title: str
    sources: Mapping[str, str]
    headlines: Sequence[Headline]
    notes: Sequence[str]
    exhibits: Sequence[Exhibit]
    matrix: list[dict[str, Any]] | None
    gallery: Gallery | None
    data: dict[str, object]


def analysis_page(
    analysis: ErrorAnalysis,
    annotations: Annotations,
    *,
    results_name: str,
    photos: Photos | None = None,
    exif: Exif = "apply",
    progress: Progress | None = None,
) -> str:
    """A page of HTML about the errors of one results file.

    Args:
        analysis: the errors.
        annotations: those that were analysed.
        results_name: how the page calls the results.
        photos: file of each photo, for a gallery; none without.
        exif: whether photos are turned as their EXIF orientation says.
        progress: called with the number of pictures that are done and of all.

    Raises:
        InputError: a photo cannot be read.
    """
    found = analysis.found
    gallery = None
    if photos is not None:
        kinds = worst_of_each_error(found, sizes(found, annotations))
        gallery = build_gallery(kinds, (found,), annotations, photos, progress, exif)
    columns = analysis_columns(found, annotations)
    page = Page(
        title=f"Errors of {results_name}",
        sources={"Results": results_name, "Annotations": annotations.path.name},
        headlines=_analysis_headlines(analysis),
        notes=analysis.lines(),
        exhibits=analysis_exhibits(analysis),
        matrix=None,
        gallery=gallery,
        data=people_data(columns, [("estimated", found)], annotations, gallery, sort=("OKS %", False)),
    )
    return _render(page)


def comparison_page(
    comparison: Comparison,
    annotations: Annotations,
    analyses: tuple[ErrorAnalysis, ErrorAnalysis],
    *,
    names: tuple[str, str],
    photos: Photos | None = None,
    exif: Exif = "apply",
    progress: Progress | None = None,
) -> str:
    """A page of HTML about what became of the same people.

    Args:
        comparison: the same people before and after.
        annotations: those that were compared with.
        analyses: of the results before and after, for what errors cost and who is hard.
        names: how the page calls the results before and after.
        photos: file of each photo, for a gallery; none without.
        exif: whether photos are turned as their EXIF orientation says.
        progress: called with the number of pictures that are done and of all.

    Raises:
        InputError: a photo cannot be read.
    """
    states = (comparison.before, comparison.after)
    gallery = None
    if photos is not None:
        kinds: Kinds = changed_most(comparison)
        gallery = build_gallery(kinds, states, annotations, photos, progress, exif)
    columns = comparison_columns(comparison, annotations)
    labelled = list(zip(("before", "after"), states, strict=True))
    page = Page(
        title=f"{names[0]} → {names[1]}",
        sources={"Before": names[0], "After": names[1], "Annotations": annotations.path.name},
        headlines=_comparison_headlines(comparison),
        notes=comparison.lines(),
        exhibits=comparison_exhibits(comparison, analyses),
        matrix=_matrix(comparison.repairs),
        gallery=gallery,
        data=people_data(columns, labelled, annotations, gallery, sort=("change", True)),
    )
    return _render(page)


def _analysis_headlines(analysis: ErrorAnalysis) -> tuple[Headline, ...]:
    costs, pairing = analysis.costs, analysis.pairing
    good = analysis.overall.frequencies[0, 0]
    places = next(stage for stage in costs.alone if stage.name == "places")
    return (
        Headline(
            "AP",
            percent(costs.input.ap),
            f"AP50 {percent(costs.input.ap50)}, AP75 {percent(costs.input.ap75)}",
        ),
        Headline(
            "People found",
            f"{share(len(pairing), pairing.num_people)} %",
            f"{len(pairing):,} of {pairing.num_people:,}; {plural(len(pairing.background), 'pose')} on nobody",
        ),
        Headline(
            "Good keypoints",
            f"{percent(good)} %",
            f"of {int(analysis.keypoints.counts.sum()):,} labelled ones; mean OKS {percent(analysis.found.oks.mean())}",
        ),
        Headline(
            "Lost by places",
            f"{signed(places.ap - costs.input.ap)} AP",
            "if every keypoint of the people found lay at its true place",
        ),
    )


def _comparison_headlines(comparison: Comparison) -> tuple[Headline, ...]:
    coco, repairs, gain = comparison.coco, comparison.repairs, comparison.gain
    return (
        Headline(
            "AP",
            signed(coco.difference),
            f"{percent(coco.before.ap)} → {percent(coco.after.ap)}; 95 % interval {signed(coco.low)} to "
            f"{signed(coco.high)}",
        ),
        Headline(
            "Mean OKS",
            signed(gain.mean()),
            f"{percent(comparison.before.oks.mean())} → {percent(comparison.after.oks.mean())} of "
            f"{plural(len(comparison.before), 'person')}",
        ),
        Headline(
            "Keypoints repaired",
            f"{repairs.repaired:,}",
            f"{repairs.broken:,} broken, {repairs.filled_right:,} filled in rightly",
        ),
        Headline("People better", f"{(gain > 0).sum():,}", f"{(gain < 0).sum():,} worse"),
    )


def _matrix(repairs: Repairs) -> list[dict[str, Any]]:
    """Rows of statuses before, cells of statuses after with their share of the row."""
    return [
        {
            "name": name,
            "total": f"{sum(counts):,}",
            "cells": [
                {"count": f"{count:,}", "share": round(count / max(sum(counts), 1), 3), "kept": row == column}
                for column, count in enumerate(counts)
            ],
        }
        for row, (name, counts) in enumerate(zip(STATUS_NAMES, repairs.counts.tolist(), strict=True))
    ]


def _render(page: Page) -> str:
    """Fill the template; all text from files is escaped, and only this script may run."""
    environment = Environment(
        loader=PackageLoader("posefix.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    assert environment.loader is not None, "given above"
    style, script = (environment.loader.get_source(environment, name)[0] for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return environment.get_template("page.html").render(
        page=page,
        status_names=STATUS_NAMES,
        style=Markup(style),
        script=Markup(script),
        script_digest=digest,
        version=__version__,
    )

"""The people of a report, as its page sorts, filters and draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posefix.analysis.breakdowns import SIZE_BANDS
from posefix.analysis.comparison import Comparison
from posefix.analysis.statuses import FoundPeople
from posefix.evaluation.repairs import RIGHT, WRONG
from posefix.formats.coco_annotations import Annotations
from posefix.pictures.drawing import RIM, Side, ink_on, keypoint_sides
from posefix.pictures.synthesised import MARKS
from posefix.pose.poses import FloatArray
from posefix.pose_errors.taxonomy import ERRORS, Status
from posefix.report.cases import Case, Gallery
from posefix.report.style import css

LETTERS = {Status.UNLABELLED: "-", Status.GOOD: "G", **{error: MARKS[error].letter for error in ERRORS}}
LACKING = "m"
"""Letter of a miss because the pose lacks the keypoint: there is nothing to draw."""

Values = Sequence[object]


@dataclass(frozen=True)
class Column:
    """A column of the table of people.

    Attributes:
        title: in the header.
        values: of each person, numbers or text.
        digits: decimals of the numbers; None for text.
        sign: whether positive numbers carry a plus.
    """

    title: str
    values: Values
    digits: int | None = 0
    sign: bool = False

    def as_dict(self) -> dict[str, object]:
        """All of it, ready for JSON."""
        values = self.values
        if self.digits is not None:
            values = np.round(np.asarray(self.values, dtype=np.float64), self.digits).tolist()
        return {"title": self.title, "digits": self.digits, "sign": self.sign, "values": values}


def sizes(found: FoundPeople, annotations: Annotations) -> FloatArray:
    """(P,) roots of the people's areas, in pixels."""
    return np.asarray(np.sqrt(annotations.people.area[found.people]))


def analysis_columns(found: FoundPeople, annotations: Annotations) -> tuple[Column, ...]:
    """Who it is, how similar the pose is, and how many keypoints have each status."""
    counts = (
        Column(LETTERS[status] + " " + status.label, (found.statuses == status).sum(axis=1).tolist())
        for status in ERRORS
    )
    return (
        _photos(found, annotations),
        Column("OKS %", (100 * found.oks).tolist(), 1),
        Column("good", (found.statuses == Status.GOOD).sum(axis=1).tolist()),
        *counts,
        Column("score", found.scores.tolist(), 2),
        *_traits(found, annotations),
    )


def comparison_columns(comparison: Comparison, annotations: Annotations) -> tuple[Column, ...]:
    """Who it is, OKS before and after, keypoints repaired and broken, and errors before and after."""
    before, after = comparison.before.statuses, comparison.after.statuses
    return (
        _photos(comparison.before, annotations),
        Column("OKS % before", (100 * comparison.before.oks).tolist(), 1),
        Column("after", (100 * comparison.after.oks).tolist(), 1),
        Column("change", (100 * comparison.gain).tolist(), 1, sign=True),
        Column("repaired", (np.isin(before, WRONG) & np.isin(after, RIGHT)).sum(axis=1).tolist()),
        Column("broken", (np.isin(before, RIGHT) & np.isin(after, WRONG)).sum(axis=1).tolist()),
        Column("errors before", (before > Status.GOOD).sum(axis=1).tolist()),
        Column("errors after", (after > Status.GOOD).sum(axis=1).tolist()),
        *_traits(comparison.before, annotations),
    )


def people_data(
    columns: Sequence[Column],
    states: Sequence[tuple[str, FoundPeople]],
    annotations: Annotations,
    gallery: Gallery | None,
    *,
    sort: tuple[str, bool],
) -> dict[str, object]:
    """All that the page's script needs, ready for JSON.

    Args:
        columns: of the table.
        states: names of the states, and the same people in each.
        annotations: the people's.
        gallery: those with pictures.
        sort: title of the column that the table is sorted by first, and whether its highest values come first.
    """
    found = states[0][1]
    skeleton = annotations.skeleton.subset(found.keypoint_names)
    area = sizes(found, annotations)
    people = [person for _, person in states]
    cases = () if gallery is None else gallery.cases
    return {
        "sort": {"column": [column.title for column in columns].index(sort[0]), "descending": sort[1]},
        "columns": [column.as_dict() for column in columns],
        "names": [
            f"{annotations.images[image_id].file_name}, person {annotation_id}"
            for image_id, annotation_id in zip(found.image_ids, found.annotation_ids, strict=True)
        ],
        "keypoints": list(found.keypoint_names),
        "limbs": skeleton.limb_index.tolist(),
        "sides": [side.name.lower() for side in keypoint_sides(skeleton)],
        "states": [name for name, _ in states],
        "statuses": [_letters(person) for person in people],
        "oks": [np.round(100 * person.oks, 1).tolist() for person in people],
        "bands": [{"label": label, "low": low**0.5, "high": high**0.5} for label, low, high in _bounded()],
        "sizes": np.round(area, 2).tolist(),
        "colours": _colours(),
        "kinds": {} if gallery is None else gallery.kinds,
        "cases": [_case_data(case, people) for case in cases],
    }


def _photos(found: FoundPeople, annotations: Annotations) -> Column:
    return Column("photo", [annotations.images[image_id].file_name for image_id in found.image_ids], None)


def _traits(found: FoundPeople, annotations: Annotations) -> tuple[Column, ...]:
    return (
        Column("size px", sizes(found, annotations).tolist()),
        Column("labelled", found.labelled.sum(axis=1).tolist()),
        Column("person", [str(annotation_id) for annotation_id in found.annotation_ids], None),
    )


def _letters(found: FoundPeople) -> list[str]:
    """A letter per keypoint, a word per person."""
    names = np.array([LETTERS[Status(value)] for value in range(-1, len(Status) - 1)])
    letters: npt.NDArray[np.str_] = np.where(found.missing, LACKING, names[found.statuses + 1])
    return ["".join(row) for row in letters.tolist()]


def _bounded() -> list[tuple[str, float, float]]:
    """Bands of size that JSON can hold: it has no infinity."""
    return [(label, low, min(high, 1e20)) for label, low, high in SIZE_BANDS]


def _colours() -> dict[str, object]:
    """Of sides, rims and errors, and of the letters on those of errors."""
    marks = {MARKS[error].letter: MARKS[error].colour for error in ERRORS}
    return {
        **{side.name.lower(): css(side.value) for side in Side},
        "rim": css(RIM),
        **{letter: css(colour) for letter, colour in marks.items()},
        "inks": {letter: css(ink_on(colour)) for letter, colour in marks.items()},
    }


def _case_data(case: Case, states: Sequence[FoundPeople]) -> dict[str, object]:
    return {
        "person": case.person,
        "jpeg": case.close_up.jpeg,
        "size": case.close_up.size_wh,
        "places": [np.round(places, 1).tolist() for places in case.close_up.states],
        "truth": np.round(case.close_up.truth, 1).tolist(),
        "similarity": [np.round(state.similarity[case.person], 2).tolist() for state in states],
    }

"""Keypoints of which numbers are not there: NaN, null and -1, as programs write them for what was not found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posefix.errors import quoted
from posefix.pose.poses import FloatArray
from posefix.pose_files.number_lists import holds_lists
from posefix.pose_files.pose_file import FormatError
from posefix.pose_files.records import Record, Records, report_fault

NOWHERE = -1.0
"""Both coordinates and the score of a keypoint that was not found, in the files of some programs."""
MEND = "Write 0 for all numbers of a keypoint that is missing."


def check_gaps(triples: FloatArray, records: Records, fields: Sequence[str], names: Sequence[str]) -> None:
    """Refuse NaN and null in keypoints that do not say themselves that they are missing.

    One that is missing has score 0, lies at 0, 0, or has no place: neither x nor y, whatever its score.

    Args:
        triples: (n, K, 3) x, y, score or visibility of each record's keypoints, NaN where a number is not there.
        records: The people.
        fields: Where x, y and score stand in a record.
        names: Of the keypoints.

    Raises:
        FormatError: A keypoint that is there lacks a number.
    """
    gaps = np.isnan(triples)
    if not gaps.any():
        return
    missing = (triples[..., 2] == 0) | gaps[..., :2].all(axis=-1) | (triples[..., :2] == 0).all(axis=-1)
    for row, keypoint, number in np.argwhere(gaps & ~missing[..., None]).tolist():
        entry = f"{('x', 'y', 'score')[number]} of {names[keypoint]}"
        where, got = (
            records.where(row, fields[number], entry),
            _gap(records.rows[row], fields, keypoint, number),
        )
        report_fault(FormatError.at(where, f"expected a finite number, got {got}.", MEND))


def _gap(record: Record, fields: Sequence[str], keypoint: int, number: int) -> str:
    """What stands in a record for a number that is not there, as messages show it."""
    values = record[fields[number]]
    one_list = len(set(fields)) == 1 and not holds_lists(values)
    value = values[len(fields) * keypoint + number if one_list else keypoint]
    return quoted(value[number] if isinstance(value, list) else value)


def without_gaps(triples: FloatArray) -> FloatArray:
    """Numbers (N, K, 3), all of them 0 of a keypoint that lacks one, as of a missing keypoint.

    So are those of one at -1, -1 with a score below 0: some programs write -1 for whatever they did not find.
    """
    gaps = np.asarray(np.isnan(triples).any(axis=-1))
    if (below := triples[..., 2] < 0).any():
        gaps = gaps | (below & (triples[..., :2] == NOWHERE).all(axis=-1))
    return np.where(gaps[..., None], 0.0, triples) if gaps.any() else triples

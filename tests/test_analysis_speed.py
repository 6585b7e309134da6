"""The maker of files of COCO's size, on small files."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
from benchmarks.analysis_speed import linearity, make_people, make_poses, measure

from posefix.analysis import analyze
from posefix.pose_errors.taxonomy import Status


def test_made_files_hold_what_was_asked_for(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    truth = make_people(tmp_path / "truth.json", 150, generator)
    poses = make_poses(truth, 250, generator)
    assert (len(truth.people), len(poses)) == (150, 250)
    analysis = analyze(poses, truth)
    assert 0.8 < len(analysis.pairing) / 150 < 0.95
    assert len(analysis.pairing.duplicates) > 10
    assert len(analysis.pairing.background) > 30
    assert (analysis.overall.counts[0] > 0).all()
    assert analysis.overall.frequencies[0, Status.GOOD] > 0.3


def test_times_and_memory_are_measured(tmp_path: Path) -> None:
    measured = measure(tmp_path, Namespace(people=30, poses=50, repeats=1, resamples=3))
    assert (measured["people"], measured["poses"]) == (30, 50)
    assert measured["analyze_seconds"]["median"] > 0
    assert measured["analyze_peak_mib"] > 10


def test_how_time_grows_is_measured(tmp_path: Path) -> None:
    grown = linearity(tmp_path, Namespace(people=80, poses=120))
    assert list(grown["processor_seconds_by_people"]) == ["20", "40", "80", "160"]
    assert -1 < grown["exponent"] < 2

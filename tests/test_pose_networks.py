"""The benchmark of `base` on the paper's pose networks: its table says what was kept, and of which C2F."""

from __future__ import annotations

from benchmarks.paper_report import FOLDER
from benchmarks.pose_networks import NETWORKS, by_c2f, measured_lines, seen_table, table


def test_the_table_holds_both_refiners() -> None:
    measured = {"Simple": {"before": 0.3, "after": 0.5, "difference": 0.2, "interval": [0.19, 0.21]}}
    row = table(measured, {"Simple": 0.29}).splitlines()[2]
    assert row == "| Simple | 30.0 | 29.0 (-1.0) | **50.0** (+20.0; +19.0 to +21.0) |"


def test_every_pose_network_was_refined_by_the_c2f_beside_it() -> None:
    found = by_c2f(FOLDER / "lspet_val")
    assert set(found) == set(NETWORKS)
    assert all(0 < ap < 1 for ap in found.values())


def test_what_learnt_the_errors_of_a_network_is_held_beside_it() -> None:
    seen = {"IntegralPose": 0.30, "E2E-refine": 0.38, "GlobalNet": 0.3, "RefineNet": 0.4}
    rows = seen_table(seen, measured_lines(FOLDER / "lspet_val")).splitlines()
    assert rows[2].startswith("| IntegralPose | 30.0 | ")
    assert rows[3].startswith("| E2E-refine | 38.0 (+8.0) | ")
    assert len(rows) == 6

"""The benchmark of `base` on the paper's pose networks: its table says what was kept, and of which C2F."""

from __future__ import annotations

from benchmarks.paper_report import FOLDER
from benchmarks.pose_networks import NETWORKS, by_c2f, table


def test_the_table_holds_both_refiners() -> None:
    measured = {"Simple": {"before": 0.3, "after": 0.5, "difference": 0.2, "interval": [0.19, 0.21]}}
    row = table(measured, {"Simple": 0.29}).splitlines()[2]
    assert row == "| Simple | 30.0 | 29.0 (-1.0) | **50.0** (+20.0; +19.0 to +21.0) |"


def test_every_pose_network_was_refined_by_the_c2f_beside_it() -> None:
    found = by_c2f(FOLDER / "lspet_val")
    assert set(found) == set(NETWORKS)
    assert all(0 < ap < 1 for ap in found.values())

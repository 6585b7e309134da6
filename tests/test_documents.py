"""What the documents say to type is executed, or there is a reason why not."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXECUTED = {
    "README.md": "test_readme.py",
    "docs/refining.md": "test_readme.py",
    "docs/practitioner.md": "test_user_pages.py",
    "docs/researcher.md": "test_user_pages.py",
    "docs/label-team.md": "test_user_pages.py",
    "docs/data-team.md": "test_user_pages.py",
    "docs/skeletons.md": "training/test_own_skeleton.py",
    "docs/paper.md": "training/test_paper_page.py",
    "docs/training.md": "training/test_training_page.py",
    "docs/video.md": "cli/test_video.py",
    "docs/bulk.md": "bulk/test_run.py",
}
"""Page -> the test that executes what can be executed of it."""
NOT_EXECUTED = {
    "CONTRIBUTING.md": "runs the tests themselves, and publishes",
    "docs/formats.md": "needs PoseTrack's and others' own files; tests/interchange runs convert with made ones",
    "docs/hub.md": "talks to the Hub; tests/network/test_hub.py runs the same commands against its interface",
    "docs/index.md": "installs from a registry",
    "docs/posetrack.md": "needs PoseTrack 2018; tests/cli/test_posetrack.py runs the commands on made files",
    "docs/profiles.md": "needs an estimator's results; tests/analysis runs the commands on made ones",
    "docs/report.md": "needs results and photos; docs/researcher.md runs the same commands on the demo's",
    "docs/review.md": "serves a page until it is stopped; tests/review runs the command",
    "docs/security.md": "tries faulty files for hours; tests/fuzz and tests/writes run a few",
    "docs/tables.md": "needs an estimator's results; tests/evaluation/test_tables.py runs the command",
    "docs/taxonomy.md": "needs an estimator's results; docs/researcher.md runs the same calls on the demo's",
}


@pytest.mark.repository
def test_every_page_with_something_to_type_is_executed_or_says_why_not() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    typed = {
        path.relative_to(ROOT).as_posix()
        for path in pages
        if re.search(r"^ *```(bash|sh|python)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert typed == set(EXECUTED) | set(NOT_EXECUTED)
    assert not set(EXECUTED) & set(NOT_EXECUTED)


@pytest.mark.parametrize("page", EXECUTED)
def test_the_test_reads_the_page(page: str) -> None:
    text = (Path(__file__).parent / EXECUTED[page]).read_text(encoding="utf-8")
    assert f'"{Path(page).name}"' in text or f'"{Path(page).stem}"' in text

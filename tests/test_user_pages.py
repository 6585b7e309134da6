"""The pages for each kind of user: all that they say to type runs on the demo's files."""

import re
import shlex
from pathlib import Path

import pytest

from posefix.cli.app import main
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.models import model_names

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("practitioner", "researcher", "label-team", "data-team")
pytestmark = pytest.mark.skipif(
    DEFAULT_MODEL_NAME not in model_names(), reason="the packaged model is not in this checkout"
)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_runs_from_top_to_bottom(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    commands = 0
    for language, block in re.findall(r"```(bash|python)\n(.*?)```", text, re.DOTALL):
        if language == "python":
            exec(compile(block, f"{page}.md", "exec"), {})  # as a reader would type it
            continue
        for line in block.splitlines():
            program, *words = shlex.split(line)
            assert program == "posefix"
            assert main(words) == 0, f"{line}: {capsys.readouterr().err}"
            commands += 1
    assert commands >= 5


def test_what_does_not_run_here_serves_or_needs_more() -> None:
    for page in PAGES:
        text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            assert block.startswith(("posefix review", "posefix bulk")), block

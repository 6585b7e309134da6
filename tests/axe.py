"""axe-core's checks of a page that a browser shows: contrast, names, roles, labels, order of headings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(
    os.environ.get("POSEFIX_AXE", Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js")
)
CHECK = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then(
    (found) => done(found.violations.map((rule) => ({
        rule: rule.id, impact: rule.impact, help: rule.help, where: rule.nodes.map((node) => node.target.join(" ")),
    }))),
    (error) => done([{rule: "axe-core failed", help: String(error)}]),
);
"""


def violations(driver: Any) -> list[dict[str, Any]]:
    """What axe-core finds wrong with the page that is open; skips where it is not installed."""
    if not SCRIPT.is_file():
        pytest.skip("axe-core is not installed (npm install --no-save axe-core)")
    driver.execute_script(SCRIPT.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = driver.execute_async_script(CHECK)
    return found

"""The numbers that the README opens with, from the results that other benchmarks keep.

    python -m benchmarks.headline

writes them between README's marks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.accuracy_report import is_seen
from benchmarks.documents import insert, markdown
from benchmarks.environment import kept

from posefix.files import write_text_atomic
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.models import ONNX_FILE, load_model

README = Path(__file__).parents[1] / "README.md"
MARK = "numbers"
KINDS = {
    "lspet_val": "photos of sport (LSP-Extended)",
    "everyday_dev": "everyday photos (COCO)",
    "coco_dev": "everyday photos (COCO)",
}


def headline(accuracy: dict[str, Any], speed: dict[str, Any], size: int) -> str:
    """Gain of each kind of photo, people made worse where that was measured, people per second, size.

    Args:
        accuracy: What `benchmarks.accuracy` keeps.
        speed: What `benchmarks.refinement_speed` keeps.
        size: Bytes of the model's graph.
    """
    rows = []
    for name, part in accuracy["sets"].items():
        estimators = [numbers for key, numbers in part["estimators"].items() if not is_seen(key)]
        gains = [
            numbers["scores"]["usual"]["AP"] - numbers["comparison"]["before"]["AP"] for numbers in estimators
        ]
        gain, places = 100 * sum(gains) / len(gains), part["summary"]["mean_gain"]
        rows.append(
            [
                f"gain in AP, {KINDS[name]}, mean of {len(estimators)} estimators",
                f"{gain:+.1f}, by the new places alone {places:+.1f}",
            ]
        )
        changes = [numbers["changes"] for numbers in estimators if "changes" in numbers]
        if changes:
            worse = sum(change["worse"] for change in changes) / sum(change["people"] for change in changes)
            rows.append(["of their people, made worse by more than .1 OKS", f"{100 * worse:.1f} %"])
    measured, environment = speed["speed"], speed["environment"]
    people = measured["people"] / measured["end_to_end_seconds"]["median"]
    where = f"{environment['cores']} cores of {environment['device']}"
    # A result without "looks" counted these as people.
    counted = "people" if "looks" in measured else "looks at people"
    rows.append([f"{counted} a second, photos read and crops cut, on {where}", f"{people:.0f}"])
    rows.append(["size of the model", f"{size / 1e6:.1f} MB"])
    return markdown(["", ""], rows)


def current() -> str:
    """The lines as the kept results have them."""
    size = (load_model(DEFAULT_MODEL_NAME).folder / ONNX_FILE).stat().st_size
    return headline(kept("accuracy"), kept("refinement_speed"), size)


def main() -> None:
    write_text_atomic(README, insert(README.read_text(encoding="utf-8"), MARK, current()))


if __name__ == "__main__":
    main()

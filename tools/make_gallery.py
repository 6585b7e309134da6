"""The pictures and pages of the site's gallery, by the commands that it names: `tools/build_site` runs this.

Photo: the demo's, NASA's and in the public domain. `demo.jpg`, `poses.png` and `review.png` show a real estimator's
poses; `analyze.html` and `compare.html` those of one that errs as it is told, on the same photo many times, since one
photo makes no statistics.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

LOOKS, INVERTED, LOST, JITTER = 12, 0.3, 0.1, 7.0
SIDES = ("elbow", "wrist")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LAYOUT = ("--layout", "coco17")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where pictures and pages go; made anew")
    folder = parser.parse_args().folder.resolve()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"the gallery shows pages in a browser: expected one of {', '.join(BROWSERS)}, found none")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make_pictures(folder)
    make_pages(folder)
    photograph_review(folder, browser)
    for name in ("analyze", "compare"):
        photograph(browser, (folder / f"{name}.html").as_uri(), folder / f"{name}.png")
    shutil.rmtree(folder / "photos")
    for path in folder.glob("*.json*"):
        path.unlink()


def posefix(folder: Path, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "posefix", *words], check=True, cwd=folder, stdout=subprocess.DEVNULL
    )


def make_pictures(folder: Path) -> None:
    posefix(folder, "demo", "-o", "demo.jpg")
    posefix(folder, "demo", "--files", ".")
    posefix(folder, "refine", "poses.json", *LAYOUT, "--images", "photos/", "-o", "refined.json")
    pair = ("poses.json", "refined.json", *LAYOUT, "--images", "photos/")
    posefix(folder, "draw", *pair, "--photos", "11", "-o", "poses.png")


def make_pages(folder: Path) -> None:
    """Reports of an estimator whose errors are known, before and refined."""
    found, labels = told_estimator(json.loads((folder / "truth.json").read_text(encoding="utf-8")))
    (folder / "found.json").write_text(json.dumps(found), encoding="utf-8")
    (folder / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
    photos = (*LAYOUT, "--images", "photos/", "--annotations", "labels.json")
    posefix(folder, "refine", "found.json", *photos, "-o", "found-refined.json")
    posefix(folder, "analyze", "found.json", *photos, "--html", "analyze.html")
    posefix(folder, "compare", "found.json", "found-refined.json", *photos, "--html", "compare.html")


def told_estimator(truth: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of results and the annotations to them: the photo of some annotations `LOOKS` times."""
    people, (image,) = truth["annotations"], truth["images"]
    names = truth["categories"][0]["keypoints"]
    pairs = [[names.index(f"{side}_{part}") for side in ("left", "right")] for part in SIDES]
    generator = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for look in range(1, LOOKS + 1):
        images.append({**image, "id": look})
        for person in people:
            annotations.append({**person, "id": len(annotations) + 1, "image_id": look})
            triples = err(generator, np.array(person["keypoints"], np.float64).reshape(-1, 3), pairs, image)
            rows.append(
                {"image_id": look, "category_id": 1, "keypoints": triples.ravel().tolist(), "score": 1.0}
            )
    return rows, {**truth, "images": images, "annotations": annotations}


def err(
    generator: np.random.Generator,
    true: npt.NDArray[np.float64],
    pairs: list[list[int]],
    image: dict[str, Any],
) -> npt.NDArray[np.float64]:
    """A pose (K, 3) with errors of `JITTER` pixels, sides exchanged and keypoints lost."""
    guess = true.copy()
    guess[:, :2] += generator.normal(0, JITTER, guess[:, :2].shape)
    if generator.random() < INVERTED:
        for pair in pairs:
            guess[pair] = guess[pair[::-1]]
    lost = generator.random(len(guess)) < LOST
    guess[lost, :2] = generator.uniform([0, 0], [image["width"], image["height"]], (int(lost.sum()), 2))
    guess[:, 2] = np.where(guess[:, 2] > 0, generator.uniform(0.5, 1.0, len(guess)), 0.0)
    guess[guess[:, 2] == 0] = 0
    return guess


def photograph_review(folder: Path, browser: str) -> None:
    pair = ("poses.json", "refined.json", *LAYOUT, "--images", "photos/", "-o", "reviewed.json")
    command = [sys.executable, "-m", "posefix", "review", *pair, "--no-browser"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
        try:
            photograph(browser, address, folder / "review.png")
        finally:
            server.terminate()


def photograph(browser: str, address: str, path: Path) -> None:
    """A picture of a page as a window shows it."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,1000")
    seconds = "--virtual-time-budget=20000"
    command = [browser, *options, seconds, f"--screenshot={path}", address]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


if __name__ == "__main__":
    main()

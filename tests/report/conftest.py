"""Six people in three photos with errors made by hand, and pages about them, names as hostile as names can be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from posefix.analysis import Comparison, ErrorAnalysis, analyze, compare
from posefix.formats.coco_annotations import Annotations, ImageInfo, PersonAnnotations
from posefix.pose.poses import Poses
from posefix.report import analysis_page, comparison_page
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">.jpg"
HOSTILE_KEYPOINT = "<b onclick=x>$nose$</b>"
GRID = np.stack([np.arange(17) % 4 * 60.0 + 40, np.arange(17) // 4 * 60.0 + 30], axis=-1)
"""(17, 2): keypoints so far apart that none is confused with another."""
FAR = np.array([25.0, 25.0])
LEFT_HIP, RIGHT_HIP, LEFT_WRIST = (COCO.index(name) for name in ("left_hip", "right_hip", "left_wrist"))
NUM_PEOPLE = 6
SKELETON = replace(
    COCO,
    keypoints=(replace(COCO.keypoints[0], name=HOSTILE_KEYPOINT), *COCO.keypoints[1:]),
    limbs=tuple(limb for limb in COCO.limbs if "nose" not in limb),
)
"""COCO's, with another name for the nose."""


@dataclass(frozen=True)
class Scene:
    """People, poses before with errors, poses after with some of them repaired and one made, and photos."""

    annotations: Annotations
    before: Poses
    after: Poses
    photos: dict[int | str, Path]

    def analysis(self) -> ErrorAnalysis:
        return analyze(self.before, self.annotations)

    def comparison(self) -> Comparison:
        return compare(self.before, self.after, self.annotations, resamples=20)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Person 0 has an inversion of the hips, which is repaired; 1 a miss of the wrist; 2 gets one."""
    image_ids = (1, 1, 2, 2, 3, 3)
    keypoints = np.stack([GRID + np.array([300.0 * (person % 2), 0]) for person in range(NUM_PEOPLE)])
    before, after = keypoints.copy(), keypoints.copy()
    before[0, [LEFT_HIP, RIGHT_HIP]] = keypoints[0, [RIGHT_HIP, LEFT_HIP]]
    before[1, LEFT_WRIST] += FAR
    after[1, LEFT_WRIST] += FAR
    after[2, LEFT_WRIST] += FAR
    people = PersonAnnotations(
        keypoints=keypoints,
        visibility=np.full(keypoints.shape[:2], 2, np.int8),
        area=np.array([10_000.0] * 5 + [900.0]),
        bbox_xywh=np.concatenate([keypoints.min(axis=1), np.ptp(keypoints, axis=1)], axis=1),
        image_ids=image_ids,
        ids=tuple(range(100, 100 + NUM_PEOPLE)),
        is_crowd=np.zeros(NUM_PEOPLE, dtype=bool),
        area_is_estimated=False,
        num_keypoints=np.full(NUM_PEOPLE, np.nan),
        head_size=np.full(NUM_PEOPLE, np.nan),
    )
    images: dict[int | str, ImageInfo] = {
        number: ImageInfo(HOSTILE if number == 1 else f"{number}.jpg", 640, 360) for number in (1, 2, 3)
    }
    folder = tmp_path_factory.mktemp("photos")
    photos: dict[int | str, Path] = {number: _write_photo(folder / f"{number}.png") for number in images}
    return Scene(
        Annotations(Path("truth & more.json"), images, people, SKELETON),
        _poses(before, image_ids),
        _poses(after, image_ids),
        photos,
    )


@pytest.fixture(scope="session")
def analysis_html(scene: Scene) -> str:
    return analysis_page(
        scene.analysis(), scene.annotations, results_name="<i>results</i>.json", photos=scene.photos
    )


@pytest.fixture(scope="session")
def comparison_html(scene: Scene) -> str:
    analyses = analyze(scene.before, scene.annotations), analyze(scene.after, scene.annotations)
    names = ("before.json", "after.json")
    return comparison_page(scene.comparison(), scene.annotations, analyses, names=names, photos=scene.photos)


def _poses(keypoints: npt.NDArray[np.float64], image_ids: tuple[int, ...]) -> Poses:
    shape = keypoints.shape[:2]
    scores = np.linspace(0.9, 0.4, NUM_PEOPLE)
    return Poses(keypoints, np.ones(shape), np.ones(shape, bool), image_ids, scores, SKELETON)


def _write_photo(path: Path) -> Path:
    """A dark photo with a white dot at every keypoint of the first person."""
    pixels = np.full((360, 640, 3), 40, dtype=np.uint8)
    for x, y in GRID.astype(int):
        pixels[y - 1 : y + 2, x - 1 : x + 2] = 255
    Image.fromarray(pixels).save(path)
    return path

"""The names that users build on."""

import subprocess
import sys
from pathlib import Path

import pytest

import posefix

ROOT = Path(__file__).parent.parent
SNAPSHOT = [
    "CocoMetrics",
    "InputError",
    "NewFile",
    "PoseFile",
    "Poses",
    "RefinedPoses",
    "Refinement",
    "Refiner",
    "Skeleton",
    "__version__",
    "analyze",
    "compare",
    "compare_coco",
    "count_repairs",
    "evaluate_coco",
    "load_skeleton",
    "match_keypoints",
    "measure_confidence",
    "read_annotations",
    "read_pose_file",
    "refine_dataset",
    "refine_predictions",
    "skeleton_names",
    "write_new_pose_file",
    "write_pose_file",
]
HEAVY = ["cv2", "cyclopts", "numpy", "onnxruntime", "rich", "timm", "torch"]


def test_the_public_names_are_those_of_the_snapshot_in_order() -> None:
    assert posefix.__all__ == SNAPSHOT == sorted(SNAPSHOT)


@pytest.mark.parametrize("name", SNAPSHOT)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(posefix, name).__doc__
    assert name in dir(posefix)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'posefix' has no attribute 'refine_everything'"):
        _ = posefix.refine_everything


def run_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    assert (
        run_python(f"import sys, posefix; print([name for name in {HEAVY} if name in sys.modules])") == "[]"
    )


def test_onnx_runtime_reports_nothing_unless_its_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import posefix, posefix.refine.networks, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    assert run_python(code) == "1"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    assert run_python(code) == "0"


def test_refiner_and_evaluation_load_no_torch() -> None:
    code = "import sys, posefix; posefix.Refiner, posefix.evaluate_coco, posefix.Poses; print('torch' in sys.modules)"
    assert run_python(code) == "False"


def test_the_changelog_and_the_citation_know_this_version() -> None:
    assert f"## [{posefix.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {posefix.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")

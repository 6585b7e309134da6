"""The design as a table: which room may import which, where torch may be, how long a file may be."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "posefix"
MODULES = sorted(PACKAGE.rglob("*.py"))
pytestmark = pytest.mark.repository

# Room -> the rooms it may import. A room imports only from rooms above its own; that is checked too.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "json_values": {"errors"},
    "files": {"errors", "json_values"},
    "skeletons": {"errors", "files"},
    "pose": {"errors", "skeletons"},
    "network": {"errors", "files", "pose", "skeletons"},
    "pose_errors": {"errors", "files", "pose", "skeletons"},
    "pose_files": {"errors", "files", "json_values", "pose", "skeletons"},
    "nn": {"errors", "files", "network", "skeletons"},
    "photos": {"errors", "pose", "pose_files"},
    "formats": {"errors", "files", "photos", "pose", "pose_files", "skeletons"},
    "refine": {"errors", "files", "network", "nn", "photos", "pose", "skeletons"},
    "estimators": {"errors", "photos", "pose", "refine", "skeletons"},
    "interchange": {"errors", "files", "formats", "photos", "pose", "pose_files", "skeletons"},
    "people": {"errors", "formats", "photos", "pose", "pose_errors", "skeletons"},
    "evaluation": {
        "errors", "files", "formats", "interchange", "people", "pose", "pose_errors", "pose_files",
        "skeletons",
    },
    "pictures": {
        "errors", "files", "formats", "network", "nn", "people", "photos", "pose", "pose_errors", "refine",
        "skeletons",
    },
    "shards": {"errors", "files", "people", "photos", "pose"},
    "analysis": {"errors", "evaluation", "files", "formats", "people", "pose", "pose_errors", "skeletons"},
    "review": {"errors", "files", "photos", "pictures", "pose", "pose_files"},
    "training": {
        "errors", "evaluation", "files", "formats", "interchange", "json_values", "network", "nn", "people",
        "photos", "pose", "pose_errors", "refine", "shards", "skeletons",
    },
    "report": {
        "analysis", "errors", "evaluation", "files", "formats", "photos", "pictures", "pose", "pose_errors",
    },
    "bulk": {
        "errors", "files", "formats", "interchange", "network", "photos", "pose", "pose_files", "refine",
        "shards", "skeletons",
    },
    "cli": {
        "analysis", "bulk", "errors", "evaluation", "files", "formats", "interchange", "network", "nn", "people",
        "photos", "pictures", "pose", "pose_errors", "pose_files", "refine", "report", "review", "skeletons",
        "training",
    },
}  # fmt: skip

TORCH_HOMES = ("nn/", "training/", "refine/backends.py", "refine/networks.py")
TRAINING_LIBRARIES = {
    "onnx",
    "onnxscript",
    "safetensors",
    "tensorboard",
    "timm",
    "tomli",
    "tomllib",
    "torch",
}
LIGHT_LIBRARIES = {
    "PIL", "array_api_compat", "cv2", "cyclopts", "hotcoco", "jinja2", "markupsafe", "matplotlib", "msgspec",
    "numpy", "onnxruntime", "openvino", "rich",
}  # fmt: skip
OPTIONAL_LIBRARIES = {
    "aiohttp",
    "fsspec",
    "h11",
    "h5py",
    "huggingface_hub",
    "pandas",
    "pyarrow",
    "ray",
    "scipy",
    "sleap_io",
    "starlette",
    "uvicorn",
    "yaml",
}  # used where somebody has them
BANNED_NAMES = {"base", "common", "core", "helper", "helpers", "misc", "util", "utils"}


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all imports in a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: imports are absolute"
            assert all(alias.name != "*" for alias in node.names), (
                f"{relative(path)}:{node.lineno}: star import"
            )
            # `from posefix import x` names the room in x.
            names = [alias.name for alias in node.names] if node.module == "posefix" else [None]
            yield from (f"{node.module}.{name}" if name else str(node.module) for name in names)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_follow_the_table(path: Path) -> None:
    if room(path) in {"__init__", "__main__"}:
        pytest.skip("the front door may import everything")
    assert room(path) in ARROWS, f"new room {room(path)!r}: give it a place in the table"
    for name in imports(path):
        top, *rest = name.split(".")
        if top == "posefix" and rest and rest[0] != room(path) and rest[0] != "__version__":
            assert rest[0] in ARROWS[room(path)], (
                f"{relative(path)} imports {name}: not an arrow of the table"
            )


def test_arrows_point_upwards() -> None:
    order = list(ARROWS)
    for name, targets in ARROWS.items():
        assert targets <= set(order[: order.index(name)]), f"{name} may import only rooms above it"


def test_rooms_of_the_table_exist() -> None:
    assert set(ARROWS) <= {room(path) for path in MODULES}


def test_no_module_lies_loose_at_the_top() -> None:
    """An idea has a room; these few have no company that would make one."""
    loose = {path.name for path in PACKAGE.glob("*.py")}
    assert loose == {"__init__.py", "__main__.py", "errors.py", "files.py", "json_values.py", "people.py"}


def test_the_map_names_every_room() -> None:
    page = (PACKAGE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(" `/") for line in page.splitlines() if line.startswith("| `")}
    assert {name.removesuffix(".py") for name in rows} == set(ARROWS)


@pytest.mark.parametrize("path", [path for path in MODULES if room(path) == "formats"], ids=relative)
def test_formats_do_not_import_each_other(path: Path) -> None:
    family = path.stem.split("_")[0]
    others = [name for name in imports(path) if name.startswith("posefix.formats.")]
    assert all(name.split(".")[2].split("_")[0] == family for name in others)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_training_libraries_stay_in_their_rooms(path: Path) -> None:
    allowed = relative(path).startswith(TORCH_HOMES)
    for name in imports(path):
        assert allowed or name.split(".")[0] not in TRAINING_LIBRARIES, f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_plain_install_has_what_is_imported(path: Path) -> None:
    known = (
        LIGHT_LIBRARIES | TRAINING_LIBRARIES | OPTIONAL_LIBRARIES | {"posefix"} | set(sys.stdlib_module_names)
    )
    assert {name.split(".")[0] for name in imports(path)} <= known


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_hdf5_files_are_opened_in_one_place(path: Path) -> None:
    """That place refuses files that lead to others, see `posefix.pose_files.hdf5`."""
    allowed = relative(path) == "pose_files/hdf5.py"
    assert allowed or "h5py.File(" not in path.read_text(encoding="utf-8"), f"{relative(path)} opens HDF5"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_no_module_is_named_after_nothing() -> None:
    parts = {part for path in MODULES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert not parts & BANNED_NAMES


def test_importing_a_module_calls_nothing() -> None:
    """Modules define; but the command line's table of commands is made of calls, and ONNX Runtime's setting is one."""
    allowed = {"cli/app.py": 99, "__init__.py": 1}
    for path in MODULES:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        calls = [node for node in body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
        assert len(calls) <= allowed.get(relative(path), 0), f"{relative(path)} calls something when imported"


def test_the_table_has_no_arrow_that_nobody_uses() -> None:
    used: dict[str, set[str]] = {name: set() for name in ARROWS}
    for path in MODULES:
        parts = [name.split(".") for name in imports(path) if name.startswith("posefix.")]
        used.setdefault(room(path), set()).update(part[1] for part in parts)
    assert {name: arrows - used[name] for name, arrows in ARROWS.items() if arrows - used[name]} == {}

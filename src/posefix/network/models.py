"""Trained models on disk: a folder with a description and the weights, as ONNX graph or safetensors."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from posefix.errors import InputError, quoted
from posefix.files import read_json
from posefix.network.decoding import DecoderName
from posefix.network.hub import HubName, fetch_model, hub_name
from posefix.network.onnx_file import check_graph_file
from posefix.skeletons import Skeleton, load_skeleton, skeleton_names

FORMAT = 2
LARGEST_SIDE = 4096
"""Pixels of a crop; those of all people of a batch are in memory at once."""
DESCRIPTION_FILE = "model.json"
ONNX_FILE = "model.onnx"
WEIGHTS_FILE = "model.safetensors"
SKELETON_FILE = "skeleton.json"
PACKAGED_MODELS = Path(__file__).parent.parent / "data" / "models"

# Names in the graph of `ONNX_FILE`.
INPUTS = ("image", "keypoints", "weights")
OUTPUT = "heatmaps"


@dataclass(frozen=True)
class Model:
    """What the folder of a trained model says about it.

    Attributes:
        folder: Holds `model.json` and `model.onnx`, `model.safetensors`, or both.
        name: For people.
        skeleton: The keypoints that the model knows, in the order of its channels.
        input_size_wh: Width and height of the crops it takes, pixels.
        network: Shape of the network, for PyTorch; empty if the description does not say it.
        decoder: How coordinates are read off its heatmaps.
        calibration: What turns its evidence into probabilities (`posefix.refine.calibration`); empty for none.
        source: `owner/name@commit` of a model of the Hugging Face Hub; empty for others.
    """

    folder: Path
    name: str
    skeleton: Skeleton
    input_size_wh: tuple[int, int]
    network: Mapping[str, Any]
    decoder: DecoderName
    calibration: Mapping[str, Any]
    source: str = ""

    @property
    def takes_pose(self) -> bool:
        """Whether it refines poses; else it is a pose network, which finds them in the photo alone."""
        return bool(self.network.get("pose_input", True))

    @property
    def shares_features(self) -> bool:
        """Whether it answers several questions about a crop, whose features it makes once."""
        return self.network.get("architecture") == "fusion"

    def file(self, name: str) -> Path:
        """A file of the folder, `ONNX_FILE` or `WEIGHTS_FILE`.

        Raises:
            InputError: The model came without it, or it is a graph that leads to files elsewhere.
        """
        path = self.folder / name
        if not path.is_file():
            present = ", ".join(sorted(entry.name for entry in self.folder.iterdir()))
            raise InputError(
                f"{self.folder}: expected a file {name}, got only {present}; export the model again"
            )
        if name == ONNX_FILE:
            check_graph_file(path)
        return path


def missing_libraries() -> list[str]:
    """What is not installed of the libraries that networks need in PyTorch, which alone is not enough."""
    return [name for name in ("torch", "timm", "safetensors") if importlib.util.find_spec(name) is None]


def skeleton_source(folder: Path, name: str) -> Path | str:
    """The skeleton of a model's description: a file beside it, or the name of a packaged one.

    Raises:
        InputError: It is neither; a description of somebody else's may not name files elsewhere.
    """
    if name in skeleton_names():
        return name
    # Compared, not looked up: a name may lead out of the folder, or be none at all.
    beside = next((entry for entry in folder.iterdir() if entry.name == name and entry.is_file()), None)
    if beside is None:
        raise InputError(
            f"{folder / DESCRIPTION_FILE}: skeleton: expected a file beside the description, or one of "
            f"{', '.join(skeleton_names())}, got {quoted(name)}; export the model again"
        )
    return beside


def model_names() -> tuple[str, ...]:
    """Names of the models that come with the package."""
    return tuple(sorted(path.parent.name for path in PACKAGED_MODELS.glob(f"*/{DESCRIPTION_FILE}")))


def load_model(name_or_folder: str | Path) -> Model:
    """Read the description of a model; its weights stay on disk.

    Args:
        name_or_folder: The folder of a model of your own or, as a text, one of `model_names`, or `owner/name` or
            `owner/name@revision` of a model on the Hugging Face Hub. A folder goes before a model of the Hub, but a
            packaged model before a folder: `./small` is a folder as a text, and `Path("small")` is one, too.

    Raises:
        InputError: No such model, one that cannot be fetched, or a description that this version does not understand.
    """
    folder, source = _find(name_or_folder)
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        if isinstance(name_or_folder, Path):
            raise InputError(
                f"{folder}: expected the folder of a model, got none with a {DESCRIPTION_FILE}; name the one that "
                "`posefix train` or `posefix export` wrote"
            )
        known = ", ".join(model_names()) or "none"
        raise InputError(
            f"model: expected a packaged model ({known}), a folder with a {DESCRIPTION_FILE}, or owner/name of one on "
            f"the Hugging Face Hub, got {source or name_or_folder}"
        )
    description = read_json(path)
    if not isinstance(description, dict):
        raise InputError(
            f"{path}: expected a JSON object, got {type(description).__name__}; export the model again"
        )
    _check_format(description, path)
    for name in ("network", "calibration"):
        if not isinstance(description.get(name, {}), dict):
            raise InputError(f"{path}: {name}: expected a JSON object; export the model again")
    return Model(
        folder=folder,
        name=str(description.get("name", folder.name)),
        skeleton=_skeleton(description, path),
        input_size_wh=_input_size(description, path),
        network=description.get("network", {}),
        decoder=_decoder(description, path),
        calibration=description.get("calibration", {}),
        source=source,
    )


def _find(name_or_folder: str | Path) -> tuple[Path, str]:
    """The folder of a model, and its commit on the Hub if it comes from there. A `Path` is always a folder."""
    if isinstance(name_or_folder, str) and name_or_folder in model_names():
        return PACKAGED_MODELS / name_or_folder, ""
    named = hub_name(name_or_folder) if isinstance(name_or_folder, str) else None
    if named is None or Path(name_or_folder).exists():
        return Path(name_or_folder), ""
    fetched = fetch_model(named)
    return fetched.folder, str(HubName(named.repository, fetched.commit))


def _check_format(description: Mapping[str, Any], path: Path) -> None:
    if description.get("format") != FORMAT:
        raise InputError(
            f"{path}: format: expected {FORMAT}, got {quoted(description.get('format'))}; "
            "the model needs another version of posefix"
        )


def _skeleton(description: Mapping[str, Any], path: Path) -> Skeleton:
    """A packaged skeleton by its name, or a file that lies beside the description."""
    name = description.get("skeleton")
    if not isinstance(name, str):
        raise InputError(f"{path}: skeleton: expected the name or the file of a skeleton, got {quoted(name)}")
    return load_skeleton(skeleton_source(path.parent, name))


def _decoder(description: Mapping[str, Any], path: Path) -> DecoderName:
    name: DecoderName = description.get("network", {}).get("decoder", "expected_similarity")
    if name not in get_args(DecoderName):
        raise InputError(
            f"{path}: decoder: expected {' or '.join(get_args(DecoderName))}, got {quoted(name)}"
        )
    return name


def _input_size(description: Mapping[str, Any], path: Path) -> tuple[int, int]:
    size = description.get("input_size_wh")
    sides = size if isinstance(size, list) else []
    if len(sides) != 2 or not all(type(side) is int and 0 < side <= LARGEST_SIDE for side in sides):
        raise InputError(
            f"{path}: input_size_wh: expected [width, height] in whole pixels up to {LARGEST_SIDE}, got {quoted(size)}"
        )
    width, height = sides
    return width, height

"""Inside the network: its heatmaps on the photo, and its feature maps in feed-forward order (paper figures 2 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.network.decoding import Decoder
from posefix.network.models import Model
from posefix.nn.activations import Activations, record_activations
from posefix.nn.checkpoint import load_network
from posefix.photos.finding import Exif, decode_image
from posefix.pictures.drawing import RIM, TRAIL, Image, caption, draw_poses, side_by_side
from posefix.pose import geometry
from posefix.pose.poses import FloatArray, Poses
from posefix.refine.crops import crop_people

LARGE_HEIGHT, SMALL_HEIGHT = 440, 176
MAPS_SHOWN = 4
"""Feature maps of each stage, and keypoints whose heatmaps are shown."""
GAP = 4
DIMMED = 0.45
GLOW = (255, 220, 60)


@dataclass(frozen=True, eq=False)
class Glimpse:
    """One person as the network saw them.

    Attributes:
        crop: (H, W, 3) uint8 RGB.
        given: (K, 2) input pose in crop pixels, K of the model.
        valid: (K,) which of its keypoints are there.
        refined: (K, 2) what was read off the heatmaps, crop pixels.
        activations: What the network computed.
        heatmaps: (K, h, w) output heatmaps as probabilities.
        known: (K,) which of its keypoints the layout of the input names.
        model: Which model it was.
        title: Whom it saw.
    """

    crop: Image
    given: FloatArray
    valid: npt.NDArray[np.bool_]
    refined: FloatArray
    activations: Activations
    heatmaps: FloatArray
    known: npt.NDArray[np.bool_]
    model: Model
    title: str = ""


def look_inside(model: Model, poses: Poses, row: int, photo: Path, *, exif: Exif = "apply") -> Glimpse:
    """Run a model on one person and keep what it computes.

    Args:
        model: With weights for PyTorch.
        poses: Of any layout.
        row: Which pose.
        photo: Its photo.
        exif: As in `decode_image`.

    Raises:
        InputError: The pose has too few keypoints, or the model is no refinement network.
    """
    people = crop_people(poses[[row]], model.skeleton, model.input_size_wh)
    if not people.usable[0]:
        raise InputError(f"row {row}: expected two keypoints that the model knows, in different places")
    crop = geometry.warp(decode_image(photo, exif=exif), people.matrices[0], model.input_size_wh)
    valid = people.valid[0]
    given = geometry.transform(people.matrices, people.keypoints)[0] * valid[:, None]
    activations = record_activations(
        load_network(model), crop, given.astype(np.float32), valid.astype(np.float32)
    )
    decoder = Decoder(model.skeleton, model.input_size_wh, model.decoder)
    probability = decoder.probability(activations.heatmaps[None].astype(np.float64))
    refined = decoder(probability, given[None]).keypoints[0]
    known = np.isin(np.arange(len(model.skeleton)), people.mapping.target_index)
    title = f"row {row}, image {poses.image_ids[row]}, model {model.name}"
    return Glimpse(crop, given, valid, refined, activations, probability[0], known, model, title)


def draw_heatmaps(glimpse: Glimpse) -> Image:
    """The drawing of the network (figure 2): photo, input heatmaps, output heatmaps, coordinates.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    photo, scale = _enlarged(glimpse.crop, LARGE_HEIGHT)
    known = glimpse.known
    panels, titles = [photo], ["photo"]
    if glimpse.activations.pose is not None:
        panels.append(_glowing(photo, glimpse.activations.pose.maps))
        titles.append("input heatmaps")
    places = geometry.scaled(glimpse.refined, scale)
    panels.append(_glowing(photo, glimpse.heatmaps[known]))
    panels.append(draw_poses(photo, places[None], known[None], glimpse.model.skeleton))
    picture = side_by_side(panels, [*titles, "output heatmaps", "coordinates"])
    names = ", ".join(
        name for name, one in zip(glimpse.model.skeleton.keypoint_names, known, strict=True) if one
    )
    return _with_captions(picture, (glimpse.title, f"heatmaps of all keypoints at once: {names}"))


def draw_features(glimpse: Glimpse) -> Image:
    """Feature maps and heatmaps in feed-forward order (figure 5).

    The first and last columns show a keypoint each, with its heatmaps; those between the most structured feature maps
    of each stage.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    photo, scale = _enlarged(glimpse.crop, SMALL_HEIGHT)
    activations, chosen = glimpse.activations, _most_moved(glimpse)
    columns = [("given", [_marked(photo, geometry.scaled(glimpse.given[index], scale)) for index in chosen])]
    if activations.pose is not None:
        columns.append(("input", [_coloured(activations.pose.maps[index], photo) for index in chosen]))
    for stage in activations.features:
        columns.append((stage.name, [_coloured(maps, photo) for maps in _most_structured(stage.maps)]))
    columns.append(("output", [_coloured(glimpse.heatmaps[index], photo) for index in chosen]))
    columns.append(
        ("refined", [_marked(photo, geometry.scaled(glimpse.refined[index], scale)) for index in chosen])
    )
    picture = side_by_side([_stacked(panels) for _, panels in columns], [title for title, _ in columns])
    names = ", ".join(glimpse.model.skeleton.keypoint_names[index] for index in chosen)
    told = (f"keypoints, from above: {names}", "1/8: stage of this resolution; up: after upsampling")
    return _with_captions(picture, (glimpse.title, *told))


def _with_captions(picture: Image, lines: Sequence[str]) -> Image:
    """A picture with lines of text below."""
    return np.concatenate([picture, *(caption(line, picture.shape[1]) for line in lines if line)])


def _most_moved(glimpse: Glimpse) -> list[int]:
    """The keypoints that moved farthest, of those that were given."""
    distance = np.linalg.norm(glimpse.refined - glimpse.given, axis=-1)
    order = np.argsort(-np.where(glimpse.valid, distance, -1.0), kind="stable")
    return [int(index) for index in order[:MAPS_SHOWN]]


def _most_structured(maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The maps (n, h, w) whose values differ most over the picture."""
    order = np.argsort(-maps.std(axis=(1, 2)), kind="stable")
    return maps[order[:MAPS_SHOWN]]


def _enlarged(crop: Image, height: int) -> tuple[Image, float]:
    """A crop in the size of a panel, and how many times larger it is."""
    scale = height / crop.shape[0]
    size_wh = (max(1, round(crop.shape[1] * scale)), height)
    return np.asarray(cv2.resize(crop, size_wh, interpolation=cv2.INTER_CUBIC), dtype=np.uint8), scale


def _coloured(values: npt.NDArray[np.floating[Any]], photo: Image) -> Image:
    """A map (h, w) in the size of the photo; viridis, which every kind of colour vision reads in the same order."""
    low, high = float(values.min()), float(values.max())
    grey = np.rint(255 * (values - low) / max(high - low, 1e-12)).astype(np.uint8)
    large = cv2.resize(grey, photo.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    colours = cv2.applyColorMap(large, cv2.COLORMAP_VIRIDIS)
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _glowing(photo: Image, maps: npt.NDArray[np.floating[Any]]) -> Image:
    """All heatmaps (n, h, w) on a dimmed grey photo, each as bright as the others at its peak."""
    peaks = maps.max(axis=(1, 2), keepdims=True)
    heat = np.where(peaks > 0, maps / np.maximum(peaks, 1e-12), 0).max(axis=0, initial=0).astype(np.float32)
    heat = np.clip(cv2.resize(heat, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR), 0, 1)[..., None]
    grey = photo.mean(axis=-1, keepdims=True) * DIMMED
    return np.asarray(np.rint(grey * (1 - heat) + np.array(GLOW) * heat), dtype=np.uint8)


def _marked(photo: Image, place: FloatArray) -> Image:
    """The photo with a ring around one place."""
    canvas = photo.copy()
    centre = [int(value) for value in np.clip(np.rint(place), -10_000, 10_000)]
    for colour, width in ((RIM, 5), (TRAIL, 2)):
        cv2.circle(canvas, centre, 9, colour, width, cv2.LINE_AA)
    return canvas


def _stacked(panels: Sequence[Image]) -> Image:
    gaps = [np.pad(panel, ((GAP, 0), (0, 0), (0, 0)), constant_values=RIM[0]) for panel in panels[1:]]
    return np.concatenate([panels[0], *gaps])

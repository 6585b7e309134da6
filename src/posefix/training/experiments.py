"""The paper's comparisons: train the systems with one recipe, several times, and judge them on the same people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy.typing as npt

from posefix.errors import InputError
from posefix.evaluation.coco import evaluate_coco
from posefix.files import make_folder, write_text_atomic
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.network.models import load_model
from posefix.people import find_photos, labelled_boxes
from posefix.photos.finding import ImageId
from posefix.pose.poses import Poses
from posefix.refine.backends import open_backend
from posefix.refine.estimation import estimate_poses
from posefix.refine.refiner import Refiner
from posefix.skeletons import match_keypoints
from posefix.training.config import TrainConfig
from posefix.training.experiment_table import Measured, as_document, as_text
from posefix.training.loop import OnStep
from posefix.training.once import is_trained, train_once
from posefix.training.systems import (
    EXPERIMENTS,
    RESULTS,
    ExperimentName,
    Line,
    System,
    system_config,
    system_folder,
    systems_of,
)
from posefix.training.validation import read_validation_poses


@dataclass(frozen=True)
class ValidationPeople:
    """The people that systems are judged on.

    Attributes:
        annotations: Their true poses.
        photos: File of each image id.
        results: Estimators' poses by the name of their file.
    """

    annotations: Annotations
    photos: Mapping[ImageId, Path]
    results: Mapping[str, Poses]


@dataclass
class Experiment:
    """Trains and measures the systems of one comparison; what is finished in the output folder is not done again.

    Attributes:
        name: Which comparison.
        recipe: Of a refiner; its training people, schedule and shape are in common for all systems, and its
            validation people judge them.
        output: Folder of the systems, the table and its numbers.
        seeds: How often everything is trained.
        device: "auto", "cpu" or "cuda".
        report: Called with a line about what is done next.
        on_step: Called after each step of training.
        tables: Folder of the table and its numbers, so that several sets can judge the same systems; `output` if None.
    """

    name: ExperimentName
    recipe: TrainConfig
    output: Path
    seeds: int = 3
    device: str = "auto"
    report: Callable[[str], None] | None = None
    on_step: OnStep | None = None
    tables: Path | None = None
    _estimates: dict[Path, Poses] = field(default_factory=dict, init=False)

    def run(self) -> str:
        """Train, measure, write NAME.txt and NAME.json into the folder of tables after each seed; the table.

        Raises:
            InputError: Data or recipe are faulty, or the folder holds systems of another recipe; before any training.
        """
        if self.seeds < 1:
            raise InputError(f"seeds: expected 1 or more, got {self.seeds}")
        make_folder(self.output)
        make_folder(self._tables)
        lines = EXPERIMENTS[self.name]
        systems = systems_of(lines)
        finished = {
            (system.name, seed): self._is_finished(system, seed)
            for seed in range(self.seeds)
            for system in systems
        }
        people = load_validation_people(self.recipe, needs_results=lines[0].poses == RESULTS)
        measured: dict[str, Measured] = {}
        for seed in range(self.seeds):
            for system in systems:
                if not finished[system.name, seed]:
                    self._train(system, seed)
            for label, line, poses in expand(lines, people):
                self._tell(f"measuring {label}, seed {seed + 1} of {self.seeds}")
                entry = measured.setdefault(label, Measured(label, against_label(line, label, poses), []))
                entry.seeds.append(
                    evaluate_coco(self._poses(line, poses, people, seed), people.annotations).as_dict()
                )
            self._write(list(measured.values()))
        return as_text(self._title(), list(measured.values()))

    @property
    def _tables(self) -> Path:
        return self.output if self.tables is None else self.tables

    def _tell(self, text: str) -> None:
        if self.report is not None:
            self.report(text)

    def _title(self) -> str:
        return f"{self.name}: recipe {self.recipe.name}, on {self.recipe.data.validation_annotations}"

    def _is_finished(self, system: System, seed: int) -> bool:
        """Whether a system has been trained, with this very recipe."""
        config = system_config(self.recipe, system, self.output, seed)
        return is_trained(config, system_folder(self.output, system.name, seed))

    def _train(self, system: System, seed: int) -> None:
        self._tell(f"training {system.name}, seed {seed + 1} of {self.seeds}")
        folder = system_folder(self.output, system.name, seed)
        config = system_config(self.recipe, system, self.output, seed)
        train_once(config, folder, device=self.device, on_step=self.on_step)

    def _poses(self, line: Line, given: Poses | None, people: ValidationPeople, seed: int) -> Poses:
        """The poses of a line, refined if it has a refiner.

        What pose networks find is refined in the boxes that they were given, as the paper does; results have none.
        """
        poses = self._estimated(line.poses, people, seed) if given is None else given
        if not line.refiner:
            return poses
        boxes = labelled_boxes(people.annotations)[1] if given is None else None
        folder = system_folder(self.output, line.refiner, seed)
        return refine_as_published(folder, poses, people.photos, boxes=boxes, device=self.device)

    def _estimated(self, system: str, people: ValidationPeople, seed: int) -> Poses:
        """What a pose network finds of the annotated people's keypoints in their boxes; once for all lines."""
        folder = system_folder(self.output, system, seed)
        if folder not in self._estimates:
            model = load_model(folder)
            image_ids, boxes = labelled_boxes(people.annotations)
            backend = open_backend(model, device=self.device)
            poses = estimate_poses(model, backend, image_ids, boxes, people.photos)
            # Pose networks find the keypoints of all sets that they were trained on. Those of two sets, such as a
            # face and a top of the head, nobody in training has together: given both, a refiner moves them wrongly.
            annotated = match_keypoints(poses.skeleton, people.annotations.skeleton)
            self._estimates[folder] = poses.in_layout(annotated)
        return self._estimates[folder]

    def _write(self, measured: list[Measured]) -> None:
        write_text_atomic(self._tables / f"{self.name}.txt", as_text(self._title(), measured) + "\n")
        document = {"experiment": self.name, "recipe": self.recipe.name, "lines": as_document(measured)}
        write_text_atomic(self._tables / f"{self.name}.json", json.dumps(document, indent=1) + "\n")


def load_validation_people(recipe: TrainConfig, *, needs_results: bool) -> ValidationPeople:
    """Read the validation people of a recipe and the results on them.

    Raises:
        InputError: There are none, a file is faulty, or results are of other photos.
    """
    data, root = recipe.data, Path(recipe.data.root)
    if not data.validation_annotations:
        raise InputError(
            f"{recipe.name}: data.validation_annotations is empty; name people to judge the systems on"
        )
    if needs_results and not data.validation_results:
        raise InputError(
            f"{recipe.name}: data.validation_results is empty; name a results file to be refined"
        )
    annotations = read_annotations(root / data.validation_annotations)
    results = read_validation_poses(recipe, annotations)
    # Estimators see people in photos of nobody who is annotated, too; all their poses are refined.
    seen = {image_id for poses in results.values() for image_id in poses.image_ids}
    photos = find_photos(annotations, root / data.validation_images, seen)
    return ValidationPeople(annotations, photos, results)


def expand(lines: tuple[Line, ...], people: ValidationPeople) -> list[tuple[str, Line, Poses | None]]:
    """Label, line and given poses of each line of the table; those of results once for each file."""
    rows: list[tuple[str, Line, Poses | None]] = []
    for line in lines:
        if line.poses == RESULTS:
            rows += [(_label(line, name), line, poses) for name, poses in people.results.items()]
        else:
            rows.append((line.label or _label(line, line.poses), line, None))
    return rows


def _label(line: Line, poses: str) -> str:
    return f"{poses} + {line.refiner}" if line.refiner else poses


def against_label(line: Line, label: str, given: Poses | None) -> str:
    """The label of the line that a line's change is counted from; empty for none."""
    if line.against or not line.refiner:
        return line.against
    return line.poses if given is None else label.removesuffix(f" + {line.refiner}")


def refine_as_published(
    folder: Path,
    poses: Poses,
    photos: Mapping[ImageId, Path],
    *,
    boxes: npt.ArrayLike | None = None,
    device: str = "auto",
) -> Poses:
    """Refine as the paper does: each keypoint goes where the network sees it, once, and keeps its score.

    Args:
        folder: Of the trained refiner.
        poses: To refine.
        photos: File of each image id.
        boxes: bbox_xywh (N, 4) to crop; None for boxes around the poses.
        device: As in `posefix.refine.backends.open_backend`.
    """
    model = load_model(folder)
    backend = open_backend(model, device=device)
    refiner = Refiner(backend, model.skeleton, model.input_size_wh, caution=-1.0, looks=1, scores="input")
    return refiner.refine(poses, photos, boxes=boxes).poses

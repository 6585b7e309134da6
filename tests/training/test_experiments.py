"""The paper's comparisons on made data: trained, measured, resumed, refused; the table by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.errors import InputError  # noqa: E402
from posefix.people import labelled_boxes  # noqa: E402
from posefix.pose.poses import Poses  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402
from posefix.training import experiments  # noqa: E402
from posefix.training.config import TrainConfig, load_recipe  # noqa: E402
from posefix.training.experiment_table import Measured, as_document, as_text  # noqa: E402
from posefix.training.experiments import Experiment  # noqa: E402
from posefix.training.systems import (  # noqa: E402
    EXPERIMENTS,
    RESULTS,
    SYSTEMS,
    Line,
    system_config,
    system_folder,
    systems_of,
)


@pytest.fixture
def judged(recipe: Path) -> TrainConfig:
    """The made recipe, one epoch, judged on its own people and results."""
    config = load_recipe(recipe, {"optimiser.epochs": "1"})
    data = dataclasses.replace(
        config.data,
        validation_annotations="train.json",
        validation_images="images",
        validation_results=("results.json",),
        validation_layouts=(config.skeleton,),
    )
    return dataclasses.replace(config, data=data)


def test_end_to_end_trains_measures_and_goes_on_where_it_stopped(judged: TrainConfig, tmp_path: Path) -> None:
    told: list[str] = []
    table = Experiment("end-to-end", judged, tmp_path, 1, "cpu", told.append).run()
    trained = [line for line in told if line.startswith("training")]
    assert trained == [f"training {name}, seed 1 of 1" for name in ("IntegralPose", "E2E-refine", "C2F")]
    assert (tmp_path / "end-to-end.txt").read_text() == table + "\n"
    lines = json.loads((tmp_path / "end-to-end.json").read_text())["lines"]
    assert [line["label"] for line in lines] == ["IntegralPose", "E2E-refine", "MA-refine (C2F)"]
    assert [line.get("change", {}).get("from") for line in lines] == [None, "IntegralPose", "IntegralPose"]
    told.clear()
    assert Experiment("end-to-end", judged, tmp_path, 1, "cpu", told.append).run() == table
    assert not any(line.startswith("training") for line in told)
    other = dataclasses.replace(judged, synthesis=dataclasses.replace(judged.synthesis, severity=2.0))
    with pytest.raises(InputError, match=r"trained with synthesis.severity = .* choose another output"):
        Experiment("end-to-end", other, tmp_path, 1, "cpu").run()


def test_what_pose_networks_find_is_refined_in_their_boxes(
    judged: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = experiments.load_validation_people(judged, needs_results=True)
    experiment = Experiment("pipelines", judged, tmp_path)
    found = people.results["results"]
    given: list[Any] = []
    monkeypatch.setattr(Experiment, "_estimated", lambda *_: found)

    def refine(folder: Path, poses: Poses, photos: object, *, boxes: object, device: str) -> Poses:
        given.append(boxes)
        return poses

    monkeypatch.setattr(experiments, "refine_as_published", refine)
    experiment._poses(Line("RefineNet", "C2F"), None, people, 0)
    experiment._poses(Line(RESULTS, "C2F"), found, people, 0)
    assert np.array_equal(given[0], labelled_boxes(people.annotations)[1])
    assert given[1] is None


def test_pose_networks_poses_have_the_annotated_keypoints_alone(
    judged: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = experiments.load_validation_people(judged, needs_results=True)
    layout = people.annotations.skeleton
    more = load_skeleton("halpe26")
    assert set(layout.keypoint_names) < set(more.keypoint_names)
    places = np.random.default_rng(0).uniform(1, 50, (2, len(more), 2))
    everywhere = np.ones(places.shape[:2])
    found = Poses(places, everywhere, everywhere > 0, (1, 2), np.ones(2), more)
    monkeypatch.setattr(experiments, "load_model", lambda _: None)
    monkeypatch.setattr(experiments, "open_backend", lambda *_, **__: None)
    monkeypatch.setattr(experiments, "estimate_poses", lambda *_: found)
    poses = Experiment("pipelines", judged, tmp_path)._estimated("RefineNet", people, 0)
    assert poses.skeleton == layout and poses.valid.all()
    names = [more.keypoint_names.index(name) for name in layout.keypoint_names]
    assert np.array_equal(poses.keypoints, places[:, names])


def test_pose_networks_start_and_crop_as_the_paper_says(judged: TrainConfig, tmp_path: Path) -> None:
    pose = system_config(judged, SYSTEMS["IntegralPose"], tmp_path, 2)
    assert pose.data.crop_around == "truth" and not pose.model.pose_input and pose.seed == judged.seed + 2
    chained = system_config(judged, SYSTEMS["E2E-refine"], tmp_path, 2)
    assert chained.initial_weights == str(tmp_path / "integralpose-seed2")
    ours = system_config(judged, SYSTEMS["C2F"], tmp_path, 0)
    assert ours.model == judged.model and ours.data.crop_around == "input"


def test_a_system_of_other_people_does_not_read_the_recipe_s_shards(
    judged: TrainConfig, tmp_path: Path
) -> None:
    data = dataclasses.replace(judged.data, shards="shards", neighbours="overlapping")
    synthesis = dataclasses.replace(judged.synthesis, person_area="box")
    recipe = dataclasses.replace(judged, data=data, synthesis=synthesis)
    read = {name: system_config(recipe, system, tmp_path, 0).data.shards for name, system in SYSTEMS.items()}
    others = {"C2F, all neighbours", "C2F, annotated areas"}
    assert {name for name, shards in read.items() if not shards} == others


def test_each_comparison_needs_the_paper_s_systems() -> None:
    names = {name: {system.name for system in systems_of(lines)} for name, lines in EXPERIMENTS.items()}
    assert names["pipelines"] == {"RefineNet", "C2F", "F2F", "C2F-LC", "C2F-LH", "C2C"}
    assert names["pipelines-of-results"] == names["pipelines"] - {"RefineNet"}
    assert names["end-to-end"] == {"IntegralPose", "E2E-refine", "C2F"}
    assert names["baselines"] == {"GlobalNet", "RefineNet", "Simple", "IntegralPose", "PoseRefiner", "C2F"}
    order = [system.name for system in systems_of(EXPERIMENTS["end-to-end"])]
    assert order.index("IntegralPose") < order.index("E2E-refine")


def test_the_lines_of_results_name_their_file(judged: TrainConfig) -> None:
    people = experiments.load_validation_people(judged, needs_results=True)
    rows = experiments.expand(EXPERIMENTS["pipelines"], people)
    assert [label for label, _, _ in rows][5:8] == ["RefineNet + C2C", "results", "results + F2F"]
    against = [experiments.against_label(line, label, poses) for label, line, poses in rows]
    assert against == ["", *["RefineNet"] * 5, "", *["results"] * 5]


def test_the_procedure_s_systems_differ_from_ours_in_one_setting(judged: TrainConfig, tmp_path: Path) -> None:
    recipe = load_recipe("experiment")
    ours = system_config(recipe, SYSTEMS["C2F"], tmp_path, 0)
    assert ours.data.crop_around == "box"
    others = [system for system in systems_of(EXPERIMENTS["procedure"]) if system.name != "C2F"]
    assert len(others) == 6
    for system in others:
        config = system_config(recipe, system, tmp_path, 0)
        parts = ("model", "data", "synthesis")
        before, now = (
            [
                (part, key, value)
                for part in parts
                for key, value in dataclasses.asdict(getattr(one, part)).items()
            ]
            for one in (ours, config)
        )
        changed = [key for (_, key, old), (_, _, new) in zip(before, now, strict=True) if old != new]
        assert len(changed) == 1, system.name
    folder = system_folder(tmp_path, "C2F, crops around poses", 0)
    assert folder.name == "c2f-crops-around-poses-seed0"


def test_trained_systems_are_judged_on_a_second_set_without_training(
    judged: TrainConfig, tmp_path: Path
) -> None:
    runs, first, second = (tmp_path / name for name in ("runs", "first", "second"))
    Experiment("end-to-end", judged, runs, 1, "cpu", tables=first).run()
    told: list[str] = []
    truth = json.loads((Path(judged.data.root) / "train.json").read_text())
    truth["annotations"] = truth["annotations"][:4]
    (tmp_path / "other.json").write_text(json.dumps(truth))
    data = dataclasses.replace(judged.data, validation_annotations=str(tmp_path / "other.json"))
    other = dataclasses.replace(judged, data=data)
    Experiment("end-to-end", other, runs, 1, "cpu", told.append, tables=second).run()
    assert told and not any(line.startswith("training") for line in told)
    found = [(folder / "end-to-end.txt").read_text() for folder in (first, second)]
    assert "train.json" in found[0] and "other.json" in found[1]
    assert not (runs / "end-to-end.txt").exists()


def test_results_may_have_any_format_and_the_photos_names(judged: TrainConfig, tmp_path: Path) -> None:
    expected = experiments.load_validation_people(judged, needs_results=True).results["results"]
    lines: dict[str, list[str]] = {}
    for image_id, keypoints in zip(expected.image_ids, expected.keypoints, strict=True):
        triples = np.column_stack([keypoints / [160, 120], np.ones(len(keypoints))])
        numbers_of_person = [0, 0.5, 0.5, 1.0, 1.0, *triples.ravel().tolist(), 0.9]
        lines.setdefault(f"{image_id:05d}.txt", []).append(" ".join(map(repr, numbers_of_person)))
    for name, people in lines.items():
        (tmp_path / name).write_text("\n".join(people))
    data = dataclasses.replace(judged.data, validation_results=(str(tmp_path),))
    (found,) = experiments.load_validation_people(
        dataclasses.replace(judged, data=data), needs_results=True
    ).results.values()
    assert found.image_ids == expected.image_ids
    assert found.keypoints == pytest.approx(expected.keypoints)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation_annotations": ""}, "validation_annotations is empty"),
        ({"validation_results": (), "validation_layouts": ()}, "validation_results is empty"),
        (
            {"validation_results": ("results.json", "results.csv"), "validation_layouts": ("coco17",) * 2},
            "data.validation_results has two files 'results'",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(
    judged: TrainConfig, tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    data = dataclasses.replace(judged.data, **settings)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        Experiment("procedure", dataclasses.replace(judged, data=data), tmp_path).run()


def test_photos_in_which_nobody_is_annotated_may_have_results(judged: TrainConfig, tmp_path: Path) -> None:
    """Estimators see somebody in many a photo of COCO's that lists nobody; refining needs these photos, too."""
    root = Path(judged.data.root)
    truth = json.loads((root / "train.json").read_text())
    truth["annotations"] = [person for person in truth["annotations"] if person["image_id"] != 6]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    data = dataclasses.replace(judged.data, validation_annotations=str(tmp_path / "truth.json"))
    recipe = dataclasses.replace(judged, data=data)
    people = experiments.load_validation_people(recipe, needs_results=True)
    assert people.photos[6] == root / "images" / "00006.png"
    assert people.photos.keys() == set(people.results["results"].image_ids)
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(1, 6):
        (folder / f"{number:05d}.png").touch()
    away = dataclasses.replace(recipe, data=dataclasses.replace(data, validation_images=str(folder)))
    with pytest.raises(InputError, match="no photo for image id 6"):
        experiments.load_validation_people(away, needs_results=True)


def test_results_of_other_photos_are_refused(judged: TrainConfig, tmp_path: Path) -> None:
    rows = json.loads((Path(judged.data.root) / "results.json").read_text())
    rows[3]["image_id"] = 4711
    (tmp_path / "other.json").write_text(json.dumps(rows))
    data = dataclasses.replace(judged.data, validation_results=(str(tmp_path / "other.json"),))
    with pytest.raises(
        InputError, match=r"other\.json, row 3, field 'image_id': 4711 is not among the images"
    ):
        Experiment("pipelines", dataclasses.replace(judged, data=data), tmp_path / "run").run()


def test_only_a_refiner_s_recipe_makes_an_experiment(judged: TrainConfig, tmp_path: Path) -> None:
    model = dataclasses.replace(judged.model, pose_input=False)
    with pytest.raises(InputError, match="needs the recipe of a refiner"):
        Experiment("pipelines", dataclasses.replace(judged, model=model), tmp_path).run()


def test_pipelines_of_results_stand_on_a_trunk(tmp_path: Path) -> None:
    """The recipe is the other one's in all but the network and the schedule, and has every pipeline."""
    recipe, other = load_recipe("experiment-trunk"), load_recipe("experiment")
    assert (recipe.data, recipe.synthesis) == (other.data, other.synthesis)
    assert recipe.model.weighting == other.model.weighting
    for system in systems_of(EXPERIMENTS["pipelines-of-results"]):
        model = system_config(recipe, system, tmp_path, 0).model
        assert model.architecture == "fusion"
        assert {name: getattr(model, name) for name in system.model} == system.model


def numbers(ap: float) -> dict[str, float]:
    return {"AP": ap, "AP50": 0.8, "AP75": 0.5, "AP-M": -1.0, "AP-L": 0.6}


TWO = [
    Measured("movenet", "", [numbers(0.40), numbers(0.40)]),
    Measured("movenet + C2F", "movenet", [numbers(0.44), numbers(0.46)]),
]


def test_the_table_by_hand() -> None:
    assert as_text("pipelines", TWO).splitlines() == [
        "pipelines; 2 seeds: means, and standard deviations after +-",
        "                         AP        change   AP50   AP75   AP-M   AP-L",
        "movenet          40.0 +-0.0                 80.0   50.0      -   60.0",
        "movenet + C2F    45.0 +-1.4    +5.0 +-1.4   80.0   50.0      -   60.0",
    ]
    one = [dataclasses.replace(entry, seeds=entry.seeds[:1]) for entry in TWO]
    assert as_text("x", one).splitlines()[-1].endswith("44.0          +4.0   80.0   50.0      -   60.0")


def test_a_change_that_rounds_to_nothing_has_no_minus() -> None:
    lines = [Measured("a", "", [numbers(0.4)]), Measured("b", "a", [numbers(0.3999)])]
    assert as_text("t", lines).splitlines()[-1].split()[:3] == ["b", "40.0", "+0.0"]


def test_the_document_has_every_seed() -> None:
    change = as_document(TWO)[1]["change"]
    np.testing.assert_allclose(change["seeds"], [0.04, 0.06])
    assert change["mean"] == pytest.approx(0.05)
    assert change["deviation"] == pytest.approx(0.02 / 2**0.5)

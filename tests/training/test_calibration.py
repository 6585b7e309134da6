"""Fitting the regressions that turn evidence into probabilities, and doing so for a trained model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.refine.looks import calibration_of

pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.errors import InputError
from posefix.network.models import load_model, model_names
from posefix.pose.poses import Poses
from posefix.refine.calibration import (
    ALL_MEANS,
    FEATURES,
    OPINION_FEATURES,
    Regression,
    UsualCompany,
    read_calibration,
)
from posefix.refine.company import Company
from posefix.refine.crops import crop_people
from posefix.refine.elsewhere import is_better
from posefix.refine.features import measure_poses
from posefix.refine.identity import Neighbours
from posefix.refine.look import Look
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton
from posefix.training.calibration import (
    HARM,
    IMPROVEMENTS,
    calibrate,
    drawn_poses,
    fit,
    fit_elsewhere,
    fit_trust,
    given_poses,
    telling,
)
from posefix.training.config import load_recipe
from posefix.training.recipe_people import load_sets
from posefix.training.run import train
from posefix.training.trained import check_unseen
from posefix.training.trials import Attempt, Examples, Trial, companies, draw_calls, join, usual_company

USUAL = UsualCompany(np.ones(len(ALL_MEANS)), np.full(len(ALL_MEANS), 2.0))


def examples(count: int, similarity: float) -> Examples:
    everything = np.ones((count, 1), dtype=bool)
    return Examples(
        np.zeros((count, 1, len(FEATURES))),
        everything,
        everything,
        np.full((count, 1), similarity),
        np.full((count, 1), similarity),
        np.ones(count),
    )


def test_a_small_set_counts_as_much_as_a_large_one() -> None:
    calibration = fit([examples(1000, 0.9), examples(10, 0.3)], USUAL)
    expected = calibration.refined_similarity(np.zeros((1, 1, len(FEATURES)))).item()
    assert expected == pytest.approx(0.6, abs=0.01)


def test_an_unimportant_pose_counts_less() -> None:
    parts = [examples(100, 0.9), dataclasses.replace(examples(100, 0.3), importance=np.full(100, 0.5))]
    calibration = fit([join(parts)], USUAL)
    expected = calibration.refined_similarity(np.zeros((1, 1, len(FEATURES)))).item()
    assert expected == pytest.approx(0.7, abs=0.01)


def attempt(right: npt.NDArray[np.bool_]) -> Attempt:
    """People whose pose is the truth and stays so, or is far off and stays there; the photo alone can tell.

    It shows everybody somewhere else.
    """
    skeleton = load_skeleton("posefix19")
    truth = np.random.default_rng(0).uniform(100, 300, (len(right), 19, 2))
    keypoints = np.where(right[:, None, None], truth, truth + 500)
    everything = np.ones(keypoints.shape[:2], dtype=bool)
    poses = Poses(
        keypoints,
        np.ones(everything.shape),
        everything,
        tuple(range(len(right))),
        np.ones(len(right)),
        skeleton,
    )
    people = crop_people(poses, skeleton, (96, 128))
    look = Look.of_nobody(people)
    look.evidence.keypoints[:] = keypoints
    belief = np.where(right[:, None], 0.8, 0.1 * everything)
    alone = dataclasses.replace(look.evidence, keypoints=keypoints - 2000, given_similarity=belief)
    look.take(np.arange(len(right)), look.evidence, alone)
    neighbours = Neighbours.of(people, poses.image_ids)
    company = Company(np.zeros(len(ALL_MEANS)))
    return Attempt(look, neighbours, truth, everything, people.falloff, company)


def trial_from(given: Attempt, refined: Attempt, alone: Attempt) -> Trial:
    return Trial(given, refined, alone, "real", measure_poses(given.look))


def test_what_is_found_elsewhere_is_preferred_where_it_was_the_better_pose() -> None:
    # Nothing is to be gained, so all keep their places.
    even = Regression(np.zeros(19), np.zeros(len(FEATURES)))
    keeping = calibration_of(*[even] * 6)
    right = np.random.default_rng(1).random(100) < 0.5
    trial = trial_from(attempt(right), attempt(right), attempt(~right))
    features, gain = trial.opinions(keeping)
    assert features.shape == (100, 1, len(OPINION_FEATURES))
    assert np.array_equal(gain > 0.5, ~right) and np.array_equal(gain < -0.5, right)
    preferred = fit_elsewhere([[trial]], keeping)
    assert np.array_equal(is_better(features, preferred, caution=0.0), ~right)


def test_what_is_lost_counts_more_than_what_is_won() -> None:
    even = Regression(np.zeros(19), np.zeros(len(FEATURES)))
    keeping = calibration_of(*[even] * 6)
    right = np.arange(100) < 40
    trial = trial_from(attempt(right), attempt(right), attempt(~right))
    trial.given.look.alone.given_similarity[:] = 0.5  # nobody can be told from anybody
    features, _ = trial.opinions(keeping)
    assert not is_better(features, fit_elsewhere([[trial]], keeping), caution=0.0).any()
    assert HARM * right.mean() > (~right).mean()


def trial_of(contradicted: float, gains: bool) -> Trial:
    """An estimator whose places are all off, and found where it gains, and whom the photo alone contradicts so much."""
    wrong = np.zeros(20, dtype=bool)
    given = attempt(wrong)
    given.look.alone.similarity[:] = 1.0
    away = given.look.people.falloff * np.sqrt(-np.log(1 - contradicted))
    given.look.alone.keypoints[:] = given.look.people.keypoints + np.stack([away, 0 * away], axis=-1)
    if gains:
        given.look.evidence.keypoints[:] = given.truth
        given.look.evidence.similarity[:] = 0.9
    return trial_from(given, given, given)


@pytest.mark.parametrize(
    ("estimators", "expected"),
    [
        ([(0.04, False), (0.09, True), (0.3, True), (0.5, False)], 0.06),
        ([(0.04, False), (0.01, True)], 0.0),
        ([(0.04, True)], 0.0),
        ([(0.04, False)], 0.2),
    ],
)
def test_estimators_are_trusted_who_are_contradicted_less_than_all_who_gain(
    estimators: list[tuple[float, bool]], expected: float
) -> None:
    refined = Regression(np.full(19, -1.0), np.array([float(name == "similarity") for name in FEATURES]))
    even = Regression(np.zeros(19), np.zeros(len(FEATURES)))
    calibration = calibration_of(refined, *[even] * 5)
    trials = [trial_of(contradicted, gains) for contradicted, gains in estimators]
    assert fit_trust(trials, calibration) == pytest.approx(expected, rel=1e-2)


def test_trials_in_which_nobody_was_seen_tell_nothing() -> None:
    seen = trial_of(0.1, gains=True)
    unseen = trial_of(0.1, gains=True)
    unseen.given.look.seen[:] = False
    assert telling([[unseen, seen], [unseen]]) == [[seen]]
    assert telling([[unseen]]) == []


def test_company_is_the_mean_pose_of_a_call_and_of_what_is_usual() -> None:
    right = np.random.default_rng(1).random(4) < 0.5
    look = dataclasses.replace(attempt(right).look, seen=np.array([True, True, False, True]))
    look.evidence.similarity[:] = [[0.2], [0.4], [0.6], [0.8]]
    poses = measure_poses(look)
    company = companies(poses, look.seen, np.array([7, 7, 7, 0]), USUAL).means
    np.testing.assert_allclose(company[:2], [(poses[0] + poses[1] + 2) / 4] * 2)
    assert not company[2].any()
    np.testing.assert_allclose(company[3], (poses[3] + 2) / 3)


def test_the_people_who_outweigh_what_is_usual_are_told_by_how_much_estimators_differ() -> None:
    rng = np.random.default_rng(0)
    estimators = [mean + rng.normal(size=(500, 2)) * [1, 3] for mean in rng.normal(size=(400, 2)) + 5]
    usual = usual_company(estimators)
    np.testing.assert_allclose(usual.means, 5, atol=0.2)
    np.testing.assert_allclose(usual.people, [1, 9], rtol=0.2)
    alike = usual_company([rng.normal(size=(50, 2)) for _ in range(400)])
    assert (alike.people > 200).all(), "estimators that do not differ are all the usual one"
    assert np.isfinite(usual_company([np.zeros((3, 2))]).people).all()


def test_calls_of_many_sizes_are_drawn() -> None:
    calls = draw_calls(2000)
    sizes = np.bincount(calls)
    assert len(calls) == sizes.sum() == 2000
    assert set(sizes[:-1]) == {2**power for power in range(10)}
    assert not np.array_equal(calls, np.sort(calls)), "whoever stands side by side is not in one call"
    assert draw_calls(1).tolist() == [0]
    assert len(np.unique(draw_calls(1023))) == 10, "as many calls as sizes are one turn"
    assert len(draw_calls(0)) == 0


def test_a_trained_model_is_calibrated_on_the_photos_held_out(recipe: Path, tmp_path: Path) -> None:
    config = load_recipe(recipe, {"data.held_out": "[0.5]", "optimiser.epochs": "1"})
    train(config, tmp_path / "model", device="cpu")
    with pytest.raises(InputError, match=r"scores: 'model' needs a model with a calibration"):
        Refiner.from_pretrained(tmp_path / "model", device="cpu", scores="model")
    more = load_recipe(recipe, {"data.held_out": "[0.6]"})
    with pytest.raises(InputError, match=r"made: data.held_out is 0.6 for train.json, .* choose at most 0.5"):
        calibrate(more, tmp_path / "model", device="cpu")
    lines: list[str] = []
    with pytest.raises(
        InputError, match=r"strengths: expected two numbers above 0 and at most 1, got \(0, 1\)"
    ):
        calibrate(config, tmp_path / "model", strengths=(0, 1), device="cpu")
    with pytest.raises(
        InputError, match="strength_in_crowds: expected a number above 0 and at most 1, got 2"
    ):
        calibrate(config, tmp_path / "model", strength_in_crowds=2, device="cpu")
    calibrate(
        config,
        tmp_path / "model",
        strengths=(0.5, 0.25),
        strength_in_crowds=0.75,
        device="cpu",
        on_pass=lines.append,
    )
    kinds = ("synthesised", "plainly synthesised")
    assert lines == [f"train.json, {kind}: 6 poses" for kind in kinds]
    model = load_model(tmp_path / "model")
    calibration = read_calibration(model)
    assert calibration is not None
    assert calibration.refined_right.weights.any()
    assert calibration.features == FEATURES
    for feature in ("alone_similarity", "pose_alone_nearness", "company_alone_given_similarity"):
        assert calibration.refined_similarity.weights[FEATURES.index(feature)]
    assert calibration.elsewhere.products is not None
    assert (calibration.strengths, calibration.strength_in_crowds) == ((0.5, 0.25), 0.75)
    assert (calibration.usual.people > 0).all()
    assert json.loads((tmp_path / "model" / "model.json").read_text())["training"]["name"] == "made"
    assert Refiner.from_pretrained(tmp_path / "model", device="cpu", scores="model").scores == "model"


TWO = {"data.annotations": '["train.json", "train/more.json"]', "data.images": '["images", "images"]'}


def described(folder: Path, **training: object) -> Path:
    """A folder with the description of a model that was trained so."""
    (folder / "model.json").write_text(json.dumps({"format": 2, **training}))
    return folder


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (
            "[0, 0.2]",
            r"made: data.held_out is 0.2 for train/more.json, .*model.json says that 0.05 of its photos were held out",
        ),
        ("[0.01, 0]", r"data.held_out is 0.01 for train.json, .* says that 0 of its photos were held out of training"),
    ],
)  # fmt: skip
def test_photos_that_were_trained_on_calibrate_nothing(
    recipe: Path, tmp_path: Path, held_out: str, message: str
) -> None:
    trained = dataclasses.asdict(load_recipe(recipe, {**TWO, "data.held_out": "[0, 0.05]"}))
    config = load_recipe(recipe, {**TWO, "data.held_out": held_out})
    with pytest.raises(InputError, match=message):
        check_unseen(config, described(tmp_path, training=trained))


def test_a_model_that_was_trained_on_everything_is_calibrated_on_nothing(
    recipe: Path, tmp_path: Path
) -> None:
    everything = load_recipe(recipe, {"data.held_out": "[0.1]"})
    with pytest.raises(InputError, match="says that 0 of its photos"):
        check_unseen(everything, described(tmp_path, training=dataclasses.asdict(load_recipe(recipe))))


@pytest.mark.parametrize(
    ("annotations", "held_out"),
    [
        (["train.json", "train/more.json"], [0.3, 0.05]),
        (["new.json", "train.json", "train/more.json"], [0.0, 0.3, 0.04]),
        (["elsewhere/train.json"], [0.3]),  # named from another root
        (["more.json"], [0.05]),
        (["other.json"], [0.9]),  # of which it saw nothing
    ],
)
def test_a_recipe_that_holds_out_no_more_calibrates(
    recipe: Path, tmp_path: Path, annotations: list[str], held_out: list[float]
) -> None:
    trained = dataclasses.asdict(load_recipe(recipe, {**TWO, "data.held_out": "[0.3, 0.05]"}))
    changes = {
        "data.root": '"elsewhere"',
        "data.annotations": json.dumps(annotations),
        "data.images": json.dumps(["images"] * len(annotations)),
        "data.held_out": json.dumps(held_out),
    }
    check_unseen(load_recipe(recipe, changes), described(tmp_path, training=trained))


@pytest.mark.parametrize("said", [{}, {"training": {}}, {"training": {"epochs": 1}}, {"training": 3}])
def test_a_model_that_does_not_say_its_training_is_calibrated(
    recipe: Path, tmp_path: Path, said: dict[str, object]
) -> None:
    check_unseen(load_recipe(recipe, {"data.held_out": "[0.5]"}), described(tmp_path, **said))


def test_a_damaged_description_is_told(recipe: Path, tmp_path: Path) -> None:
    folder = described(tmp_path, training={"data": {"annotations": [3]}})
    with pytest.raises(InputError, match=r"model.json: training: data: annotations must be texts"):
        check_unseen(load_recipe(recipe, {"data.held_out": "[0.5]"}), folder)


@pytest.mark.parametrize(
    ("model", "recipe_name"),
    [("small", "small"), *(("base", name) for name in ("base-first", "base-second", "base-third", "base"))],
)
def test_packaged_models_are_calibrated_with_their_recipes(model: str, recipe_name: str) -> None:
    if model not in model_names():
        pytest.skip("the packaged models are not in this checkout")
    check_unseen(load_recipe(recipe_name, {"data.root": '"elsewhere"'}), load_model(model).folder)


def test_estimators_are_met_as_they_are_and_improved(recipe: Path, made_data: Path) -> None:
    skeleton = made_data / "skeleton.json"
    layouts = json.dumps([str(skeleton)])
    changes = {
        "data.held_out": "[0.5]",
        "data.estimates": '["results.json"]',
        "data.estimate_layouts": layouts,
    }
    config = load_recipe(recipe, changes)
    (records,) = load_sets(config, load_skeleton(skeleton), held=True)
    poses = {given.name: given.poses for given in given_poses(records, load_skeleton(skeleton), config)}
    names = ["estimator 1", *(f"estimator 1, {share:.0%} improved" for share in IMPROVEMENTS)]
    assert list(poses) == [*names, "synthesised", "plainly synthesised"]
    for name, share in zip(names, (0.0, *IMPROVEMENTS), strict=True):
        distance = np.linalg.norm(poses[name].keypoints - records.keypoints, axis=-1)
        np.testing.assert_allclose(distance, 3 * (1 - share), atol=1e-3)


def test_a_share_of_the_photos_is_drawn_for_each_kind_of_pose(recipe: Path, made_data: Path) -> None:
    skeleton = load_skeleton(made_data / "skeleton.json")
    config = load_recipe(recipe, {"data.held_out": "[0.5]"})
    (records,) = load_sets(config, skeleton, held=True)
    whole = given_poses(records, skeleton, config)
    drawn = drawn_poses(records, skeleton, config, 0.5)
    assert [given.name for given in drawn] == [given.name for given in whole]
    photos = len(set(records.images))
    assert photos > 1
    for part, everything in zip(drawn, whole, strict=True):
        assert len(set(part.poses.image_ids)) == max(round(0.5 * photos), 1)
        np.testing.assert_array_equal(part.poses.keypoints, everything.poses.keypoints[part.rows])
    assert len(drawn_poses(records, skeleton, config, 1.0)[0].poses) == len(whole[0].poses)


def test_without_held_out_photos_nothing_can_be_calibrated(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"made: data.held_out is empty: .* held out of its training"):
        calibrate(load_recipe(recipe), tmp_path)

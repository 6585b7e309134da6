"""`posefix push`."""

from __future__ import annotations

from pathlib import Path

from posefix.cli.options import Flag


def push(
    model: Path,
    repository: str,
    /,
    *,
    license: str,
    numbers: Path | None = None,
    data: str | None = None,
    private: Flag = False,
) -> None:
    """Put a model on the Hugging Face Hub, with a card, and load it back to be sure.

    Log in with `hf auth login` first, with a token that may write. Whoever has `pip install 'posefix[hub]'` takes the
    model by its name: `--model owner/name`.

    Args:
        model: Folder of a model, as `posefix train` and `posefix export` wrote it; a README.md in it becomes the card.
        repository: owner/name on the Hub; made if it is not there.
        license: Of the weights, as the Hub names it, such as apache-2.0, cc-by-nc-4.0 or other.
        numbers: What `posefix evaluate --json` wrote of poses that the model refined, for the card.
        data: Name of the data that they were measured on; by default, that of the annotation file.
        private: A repository that is made is for its owner alone.
    """
    from posefix.network.hub_push import push_model
    from posefix.network.model_card import Facts, read_numbers
    from posefix.network.models import load_model

    measured, values = read_numbers(numbers) if numbers is not None else ("", {})
    facts = Facts(license, data or measured, values)
    pushed = push_model(load_model(model), repository, facts, private=private)
    print(
        f"{pushed}\nloaded back and the same; `--model {repository}` takes the newest, the name above this one"
    )

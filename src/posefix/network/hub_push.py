"""A model's folder put on the Hugging Face Hub, and loaded back from there to be sure."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posefix.errors import InputError
from posefix.files import read_json
from posefix.network.hub import (
    CLIENT,
    HubName,
    client_errors,
    fetch_model,
    hub_errors_told,
    hub_name,
    require_client,
)
from posefix.network.model_card import CARD_FILE, Facts, model_card
from posefix.network.models import (
    DESCRIPTION_FILE,
    ONNX_FILE,
    WEIGHTS_FILE,
    Model,
    load_model,
    skeleton_source,
)


def push_model(model: Model, repository: str, facts: Facts, *, private: bool = False) -> str:
    """Upload a model and its card, and check that what the Hub gives back is the same.

    Args:
        model: To be uploaded: its description, graph and weights, and the skeleton that lies beside them.
        repository: `owner/name`; made if it is not there.
        facts: For the card.
        private: A repository that is made is for its owner alone.

    Returns:
        `owner/name@commit`.

    Raises:
        InputError: A name that is none, a model without weights, no right to write there, no way to the Hub, or the Hub
            gives something else back.
    """
    named = hub_name(f"hf://{repository}")
    if named is None or named.revision is not None:
        raise InputError(f"repository: expected owner/name, got {repository!r}")
    require_client(named)
    files = model_files(model)
    card = model_card(model, repository, facts).encode()
    commit = _upload(named, {**files, CARD_FILE: card}, f"Model {model.name} of posefix", private)
    pushed = HubName(repository, commit)
    with tempfile.TemporaryDirectory() as cache:
        fetched = fetch_model(pushed, Path(cache))
        for name, path in files.items():
            back = fetched.folder / name
            if not back.is_file() or back.read_bytes() != path.read_bytes():
                raise InputError(
                    f"model {pushed}: {name}: expected what was uploaded, got something else; push again"
                )
        load_model(fetched.folder)
    return str(pushed)


def model_files(model: Model) -> dict[str, Path]:
    """The files that make a model, by their names in its folder; whatever else lies there is its owner's alone.

    Raises:
        InputError: It has neither a graph nor weights.
    """
    weights = [name for name in (ONNX_FILE, WEIGHTS_FILE) if (model.folder / name).is_file()]
    if not weights:
        raise InputError(
            f"{model.folder}: expected {ONNX_FILE} or {WEIGHTS_FILE}, got neither; export the model first"
        )
    named = skeleton_source(model.folder, read_json(model.folder / DESCRIPTION_FILE)["skeleton"])
    skeletons = [named.name] if isinstance(named, Path) else []  # the others come with the package
    return {name: model.folder / name for name in (DESCRIPTION_FILE, *skeletons, *weights)}


def _upload(name: HubName, files: dict[str, Path | bytes], message: str, private: bool) -> str:
    """Put files into a repository; returns the commit."""
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(**CLIENT)
    with hub_errors_told(str(name)), _causes_raised():
        api.create_repo(name.repository, private=private or None, exist_ok=True)
        additions = [CommitOperationAdd(path, content) for path, content in files.items()]
        return str(api.create_commit(name.repository, additions, commit_message=message).oid)


@contextmanager
def _causes_raised() -> Iterator[None]:
    """The client hides what the Hub answered to a large file behind an error of its own; raise the answer."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__cause__, client_errors()):
            raise error.__cause__ from error
        raise

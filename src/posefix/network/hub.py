"""Models of the Hugging Face Hub, named `owner/name` or `owner/name@revision`: fetched, checked, kept."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posefix import __version__
from posefix.errors import InputError

FETCHED = ("*.json", "model.onnx", "model.safetensors")
"""Nothing else of a repository is loaded: descriptions, a skeleton, and weights that hold numbers alone."""
CLIENT: dict[str, Any] = {"library_name": "posefix", "library_version": __version__}
_NAME = re.compile(
    r"(?:hf://)?(?P<repository>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[\w./-]+))?",
    re.ASCII,
)
_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class HubName:
    """A model on the Hub.

    Attributes:
        repository: `owner/name`.
        revision: A branch, a tag or a commit; None for the newest.
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}" if self.revision else self.repository


@dataclass(frozen=True)
class FetchedModel:
    """A model that lies in the cache of the Hub's client.

    Attributes:
        folder: Of its files.
        commit: 40 hexadecimal digits that name these files for ever.
    """

    folder: Path
    commit: str


def hub_name(text: str) -> HubName | None:
    """The model on the Hub that a text names.

    None where it names none, or where a folder of the owner's name lies here: then a folder is meant. `hf://` in front
    says that the Hub is meant whatever lies here.
    """
    found = _NAME.fullmatch(text)
    if found is None or (not text.startswith("hf://") and Path(text.split("/", maxsplit=1)[0]).is_dir()):
        return None
    return HubName(found["repository"], found["revision"])


def fetch_model(name: HubName, cache: Path | None = None) -> FetchedModel:
    """Bring the files of a model here, or find them where they were brought before.

    A commit that lies here whole is taken without asking the Hub; so is what lies here where `HF_HUB_OFFLINE` is set or
    the Hub cannot be reached. What the Hub sends is compared with its checksums, and removed where it differs.

    Args:
        name: Of the model.
        cache: Folder for the files; the one of the Hub's client by default.

    Raises:
        InputError: No such model, revision or right to it, no way to the Hub, or damaged files.
    """
    require_client(name)
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted: dict[str, Any] = {
        "revision": name.revision,
        "allow_patterns": list(FETCHED),
        "cache_dir": cache,
        **CLIENT,
    }
    offline = bool(constants.HF_HUB_OFFLINE)
    with hub_errors_told(str(name)):
        if name.revision is not None and _COMMIT.fullmatch(name.revision) and not offline:
            try:
                folder = Path(snapshot_download(name.repository, local_files_only=True, **wanted))
                return FetchedModel(folder, folder.name)
            except LocalEntryNotFoundError:
                pass  # it is still to be fetched
        folder = Path(snapshot_download(name.repository, local_files_only=offline, **wanted))
        if not offline:
            _check_files(name, folder)
    return FetchedModel(folder, folder.name)


def require_client(name: HubName) -> None:
    """Say what is to be installed where the Hub's client is not.

    Raises:
        InputError: It is not.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise InputError(
            f"model: there is no folder {name.repository}; to fetch a model of that name from the Hugging Face Hub, "
            "install its client: pip install 'posefix[hub]'"
        )


def _check_files(name: HubName, folder: Path) -> None:
    """Compare what was fetched with the checksums of its commit; without a way to the Hub, it was compared before."""
    from huggingface_hub import HfApi

    api = HfApi(**CLIENT)
    try:
        listed = api.model_info(name.repository, revision=folder.name, files_metadata=True).siblings or []
    except client_errors():
        return
    for entry in listed:
        path = folder / entry.rfilename
        if not path.is_file():
            continue
        expected = entry.lfs.sha256 if entry.lfs is not None else entry.blob_id
        content = path.read_bytes()
        if expected is not None and expected not in _checksums(content):
            path.resolve().unlink()  # the file that the name in the folder leads to
            # Without the folder the client knows that the commit does not lie here whole; its versions before the one
            # that keeps lists of files would take what is left for all.
            shutil.rmtree(folder)
            raise InputError(
                f"model {name}: {entry.rfilename}: expected the checksum {expected[:12]}..., got another; the file "
                "is damaged and was removed, fetch it again"
            )


def _checksums(content: bytes) -> tuple[str, str]:
    """SHA-256 of a large file, and what git calls any other."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return hashlib.sha256(content).hexdigest(), blob.hexdigest()


@contextmanager
def hub_errors_told(name: str) -> Iterator[None]:
    """Tell what the client of the Hub raises in a sentence.

    Raises:
        InputError: It did.
    """
    try:
        yield
    except client_errors() as error:
        raise InputError(f"model {name}: {_explanation(error)}") from error


def client_errors() -> tuple[type[Exception], ...]:
    """Errors of the client, of the HTTP library under it, and of files.

    That library is another one in every major version of the client; the root of its errors is a base of the client's.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return tuple(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))


def _explanation(error: BaseException) -> str:
    """What is wrong, and what to do about it."""
    from huggingface_hub import errors

    log_in = "log in with `hf auth login`"
    first, *_ = str(error).splitlines() or [type(error).__name__]
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0
    offline = isinstance(error.__cause__, errors.OfflineModeIsEnabled) or error.__cause__ is None
    explanations: tuple[tuple[object, str], ...] = (
        (
            isinstance(error, errors.GatedRepoError),
            f"its owner gives access to it one by one; ask for it on its page, then {log_in}",
        ),
        (
            isinstance(error, errors.RepositoryNotFoundError),
            "no such model on the Hugging Face Hub, nor a folder of this name here; check the name, and "
            f"{log_in} if it is a private one",
        ),
        (
            isinstance(error, errors.RevisionNotFoundError),
            "it has no such revision; check what stands after the @, a branch, a tag or a commit",
        ),
        (
            status in (401, 403),
            f"the Hub refused it (HTTP {status}); {log_in}, with a token that has the right",
        ),
        (status, f"the Hub answered HTTP {status}; try again later"),
        (
            isinstance(error, errors.LocalEntryNotFoundError) and offline,
            "it does not lie whole in the cache, and HF_HUB_OFFLINE forbids to fetch it; fetch it once without",
        ),
        (
            isinstance(error, errors.LocalEntryNotFoundError),
            "the Hub cannot be reached, and it does not lie whole in the cache; look at the network, or name a folder",
        ),
    )
    broken = f"the Hub's client broke off ({first.rstrip('.')}); look at the network and try again"
    return next((text for applies, text in explanations if applies), broken)

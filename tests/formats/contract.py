"""What every JSON format promises, as tests that its own module of tests makes of its own files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.mutations import mutated_texts
from tests.formats.recorded import INDENTS, PAIR, contents_of, printed, read, recorded, try_everything

from posefix.pose_files.pose_file import Format, PhotoSize
from posefix.skeletons import Skeleton


def stays_equal(
    format: Format, shapes: Mapping[str, Any], name: str = "a.json", photo_size: PhotoSize | None = None
) -> Any:
    """A test that a file, or folder, which nothing changed is the same, however it is printed.

    Args:
        format: The format.
        shapes: Its documents, or folders of them, that have the keypoints of `PAIR`.
        name: What the file is called.
        photo_size: Of its photos.
    """

    @pytest.mark.parametrize("indent", INDENTS)
    @pytest.mark.parametrize("shape", shapes)
    def test(tmp_path: Path, shape: str, indent: Any) -> None:
        path = recorded(tmp_path / name, shapes[shape], indent)
        file = read(format, path, PAIR, photo_size)
        assert file.rewrite(file.poses, update_boxes=True) == contents_of(path)

    return test


def refuses_faults(
    format: Format,
    *good: Any,
    name: str = "a.json",
    skeletons: Sequence[Skeleton | None] = (PAIR, None),
    photo_size: PhotoSize | None = None,
    path_first: bool = True,
) -> Callable[..., None]:
    """A test that a faulty file is read and written, or refused in one sentence.

    Args:
        format: The format.
        good: Documents of it, or their texts, to be damaged.
        name: What the file is called.
        skeletons: Said to be the layout.
        photo_size: Of its photos.
        path_first: Whether what is said begins with the path; it holds the name of the file in any case.
    """
    texts = [content if isinstance(content, str) else printed(content) for content in good]

    @settings(max_examples=40)
    @given(text=st.sampled_from(texts).flatmap(mutated_texts), skeleton=st.sampled_from(skeletons))
    def test(tmp_path_factory: pytest.TempPathFactory, text: str, skeleton: Skeleton | None) -> None:
        path = recorded(tmp_path_factory.mktemp("mutated") / name, text)
        try_everything(format, path, skeleton, photo_size, path_first=path_first)

    return test

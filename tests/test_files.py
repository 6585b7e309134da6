import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.files import (
    ensure_new_folder,
    ensure_not_input,
    ensure_writable,
    read_json,
    write_bytes_atomic,
    write_text_atomic,
)
from posefix.json_values import parse_json, plain_json


def test_text_is_written_as_utf8_with_its_newlines(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a.txt", "ä\nb\n")
    assert (tmp_path / "a.txt").read_bytes() == "ä\nb\n".encode()


def test_a_text_with_half_a_surrogate_pair_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.txt: .* half a surrogate pair, 'left \\ud800'; rename it"):
        write_text_atomic(tmp_path / "a.txt", "left \ud800 right")
    assert not list(tmp_path.iterdir())


def test_json_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "a.json") == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[1,\n {"a": }]', "expected JSON, got an error at line 2, column 8: Expecting value."),
        (b"", "expected JSON, got an empty file; write it again."),
        (b"\xef\xbb\xbf \n", "expected JSON, got an empty file; write it again."),
        (
            b'[1,\n {"a": tr',
            "expected JSON, got a text that ends in the middle, at line 2, column 10; it is cut off, copy or write it "
            "again.",
        ),
        (b"poses", "expected JSON, got an error at line 1, column 1: Expecting value."),
        (b"[1, 2] 3", "expected JSON, got an error at line 1, column 8: Extra data."),
        (b"\xff\xd8\xff", "expected text in UTF-8, got other bytes."),
        (b"[" * 100_000, "expected JSON, got brackets or numbers without end."),
        (b"9" * 5000, "expected JSON, got brackets or numbers without end."),
        (None, "there is no such file or folder."),
    ],
)
def test_what_cannot_be_parsed_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert str(caught.value) == f"{path}: {message}"


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=st.lists(values) | st.dictionaries(st.text(), values), share=st.floats(0, 1, exclude_max=True))
def test_whatever_is_cut_off_is_called_so(value: object, share: float) -> None:
    text = json.dumps(value)
    kept = text[: max(int(len(text) * share), 1)]
    assume(kept != text)
    with pytest.raises(InputError, match="got a text that ends in the middle"):
        parse_json("a.json", kept)


def test_writable_paths_are_found_out_without_a_trace(tmp_path: Path) -> None:
    ensure_writable(tmp_path / "new.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 230 + ".json", "model." + "x" * 200])
def test_a_long_name_that_is_writable_is_written(tmp_path: Path, name: str) -> None:
    ensure_writable(tmp_path / name)
    write_text_atomic(tmp_path / name, "{}")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_missing_folder_is_found_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*no; create it first"):
        ensure_writable(tmp_path / "no" / "a.json")


@pytest.mark.parametrize("name", ["a.json", "in/../a.json", "soft.json", "in/b.json", "in"])
def test_no_input_is_replaced_under_whatever_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    for file in ("a.json", "in/b.json"):
        (tmp_path / file).write_text("[]")
    (tmp_path / "soft.json").symlink_to(tmp_path / "a.json")
    inputs = [None, "coco17", tmp_path / "a.json", str(tmp_path / "in")]
    with pytest.raises(InputError, match=f"{name}: expected another file than those that are read"):
        ensure_not_input(tmp_path / name, inputs)


def test_other_names_are_free_beside_the_inputs_and_among_them(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    (tmp_path / "old.json").write_text("[]")
    inputs = [None, "coco17", "x" * 5000, "a\0b", tmp_path / "a.json", tmp_path / "not there.json"]
    for name in ("new.json", "old.json", "not there.json"):
        ensure_not_input(tmp_path / name, inputs)
    ensure_not_input(tmp_path / "new.json", [tmp_path])


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="something that is not a file has this name"):
        write_bytes_atomic(tmp_path, b"")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX has named pipes")
def test_devices_and_pipes_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="something that is not a file has this name"):
        write_bytes_atomic(tmp_path / "pipe", b"")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("old", encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        write_text_atomic(path, "new")
    assert [(entry.name, entry.read_text(encoding="utf-8")) for entry in tmp_path.iterdir()] == [
        ("a.json", "old")
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text_atomic(tmp_path / "link", "a")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text(encoding="utf-8") == "a"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="such a link is replaced there")
def test_a_link_to_itself_is_no_place_to_write(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for write in (ensure_writable, ensure_new_folder, lambda path: write_text_atomic(path, "a")):
        with pytest.raises(
            InputError, match="loop: cannot be written, it is a link that leads in a circle; remove it"
        ):
            write(tmp_path / "loop")


numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@given(
    text=numbers | values.map(json.dumps) | values.map(lambda value: json.dumps(value, ensure_ascii=False))
)
def test_a_plain_text_has_the_values_of_pythons_parser(text: str) -> None:
    try:
        found = plain_json(text)
    except ValueError:
        assert parse_json("a.json", text) is not None
        return
    assert repr(found) == repr(json.loads(text))  # tells 1 from 1.0, and 0.0 from -0.0


@pytest.mark.parametrize("text", ["[1, NaN]", "1e400", '{"a": -Infinity}', r'"\ud800"'])
def test_what_is_no_plain_text_is_read_as_python_does(text: str) -> None:
    with pytest.raises(ValueError):
        plain_json(text)
    assert repr(parse_json("a.json", text)) == repr(json.loads(text))

"""Finding and decoding photos."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from posefix.errors import InputError
from posefix.photos import finding as images
from posefix.photos.finding import (
    decode_image,
    find_images,
    id_matcher,
    image_finder,
    image_ids_of,
    photo_sizes,
)
from posefix.photos.pixels import read_size

Pixels = npt.NDArray[np.uint8]


@pytest.fixture
def pixels() -> Pixels:
    """A smooth colourful photo, 32 rows and 48 columns."""
    y, x = np.mgrid[0:32, 0:48]
    return np.stack([x * 5, y * 7, 255 - x * 2 - y * 3], axis=-1).astype(np.uint8)


def encoded(photo: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, kind, **options)
    return buffer.getvalue()


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 0), ("BMP", 0), ("TIFF", 0), ("JPEG", 12)])
def test_a_photo_decodes_to_rgb(pixels: Pixels, kind: str, tolerance: int, tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(encoded(Image.fromarray(pixels), kind, quality=95))
    decoded = decode_image(path)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - pixels).max() <= tolerance
    assert decoded.flags.writeable


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P"])
def test_grey_and_palette_photos_become_rgb(pixels: Pixels, mode: str) -> None:
    photo = Image.fromarray(pixels).convert(mode)
    assert np.array_equal(decode_image(encoded(photo, "PNG")), np.asarray(photo.convert("RGB")))


def test_palettes_may_be_transparent(pixels: Pixels) -> None:
    photo = Image.fromarray(pixels).convert("P")
    content = encoded(photo, "PNG", transparency=bytes(range(256)))
    assert np.array_equal(decode_image(content), np.asarray(photo.convert("RGB")))


def test_alpha_is_dropped(pixels: Pixels) -> None:
    transparent = np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)])
    assert np.array_equal(decode_image(encoded(Image.fromarray(transparent), "PNG")), pixels)


def test_cmyk_photos_become_rgb(pixels: Pixels) -> None:
    photo = Image.fromarray(pixels).convert("CMYK")
    assert np.abs(decode_image(encoded(photo, "JPEG", quality=95)).astype(int) - pixels).max() <= 12


def test_sixteen_bits_keep_the_upper_eight() -> None:
    grey = np.linspace(0, 65535, 32 * 48).reshape(32, 48).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        decoded = decode_image(encoded(Image.fromarray(grey), kind))
        assert np.array_equal(decoded, np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=2))


def test_sixteen_bit_colour_keeps_the_upper_eight(pixels: Pixels) -> None:
    cv2 = pytest.importorskip("cv2")
    _, content = cv2.imencode(".png", pixels[..., ::-1].astype(np.uint16) * 257)
    assert np.array_equal(decode_image(content.tobytes()), pixels)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"big_tiff": True}),
    ],
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_or_ignored(
    pixels: Pixels, orientation: int, kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """Of TIFF files, which Pillow turns itself, as of the others."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(pixels), kind, exif=exif, **options)
    upright = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: pixels[::-1].transpose(1, 0, 2),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: pixels.transpose(1, 0, 2)[::-1],
    }
    assert np.array_equal(decode_image(content), upright[orientation])
    assert np.array_equal(decode_image(content, exif="ignore"), pixels)
    (tmp_path / "photo").write_bytes(content)
    assert read_size(tmp_path / "photo") == upright[orientation].shape[1::-1]
    assert read_size(tmp_path / "photo", exif="ignore") == (48, 32)


def test_an_orientation_that_only_the_xmp_block_of_a_tiff_names_is_one_too(pixels: Pixels) -> None:
    directory = ImageFileDirectory_v2()
    directory[700] = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    directory.tagtype[700] = TiffTags.BYTE
    content = encoded(Image.fromarray(pixels), "TIFF", tiffinfo=directory)
    if Image.open(io.BytesIO(content)).getexif().get(0x0112) != 6:
        pytest.skip("this Pillow does not look there")
    assert np.array_equal(decode_image(content), pixels[::-1].transpose(1, 0, 2))
    assert np.array_equal(decode_image(content, exif="ignore"), pixels)


def test_a_damaged_exif_block_does_not_matter(pixels: Pixels) -> None:
    content = encoded(Image.fromarray(pixels), "JPEG", exif=b"Exif\0\0nonsense" + bytes(20))
    assert decode_image(content).shape == pixels.shape


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.95])
def test_truncated_photos_are_errors(kind: str, kept: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), kind)
    path = tmp_path / "im7.jpg"
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=r"im7\.jpg: cannot be read as a photo"):
        decode_image(path)


def test_damage_of_which_pillow_raises_a_runtime_error_is_told(pixels: Pixels, tmp_path: Path) -> None:
    Image.init()
    if "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow writes no AVIF")
    content = encoded(Image.fromarray(pixels), "AVIF")
    (tmp_path / "a.avif").write_bytes(content.replace(b"pitm", b"p\1tm"))
    with pytest.raises(InputError, match=r"a\.avif: cannot be read as a photo \(Failed to decode"):
        decode_image(tmp_path / "a.avif")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("read", [decode_image, read_size])
def test_more_pixels_than_pillow_decodes_are_an_error(
    read: Callable[[Path], object], pixels: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wall.png"
    path.write_bytes(encoded(Image.fromarray(pixels), "PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels.size // 3 / 2)
    read(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels.size // 3 / 2 - 1)
    with pytest.raises(
        InputError,
        match=r"wall\.png: has more pixels than Pillow is allowed to decode; make the photo smaller, or from Python, ",
    ):
        read(path)


def test_text_and_missing_files_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("not a photo", encoding="utf-8")
    for name, reason in (("a.jpg", "cannot be read as a photo"), ("b.jpg", "there is no such photo; add it")):
        for read in (decode_image, read_size):
            with pytest.raises(InputError, match=f"{re.escape(name)}: {reason}"):
                read(tmp_path / name)


@pytest.mark.parametrize(
    ("photo", "message"),
    [(np.zeros((4, 4), np.float32), "floating-point"), (np.full((4, 4), 70_000, np.int32), "32 bits")],
)
def test_pixels_of_other_types_are_errors(photo: npt.NDArray[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode_image(encoded(Image.fromarray(photo), "TIFF"))


@pytest.mark.parametrize(
    ("image_id", "name"),
    [
        (36, "36.jpg"),
        (36, "000000000036.jpg"),
        (36, "im00036.PNG"),
        (0, "frame_000.jpg"),
        ("im00036", "im00036.jpg"),
        ("im00036.jpg", "im00036.jpg"),
        ("36", "im00036.jpg"),
        ("left hand", "left hand.webp"),
        (12345678901234567890123, "12345678901234567890123.jpg"),
    ],
)
def test_an_id_finds_its_photo(image_id: int | str, name: str, tmp_path: Path) -> None:
    touch(tmp_path, name, f"._{name}", "im00136.jpg", "36.json", "36.txt", "im36b.jpg")
    assert find_images([image_id, image_id], tmp_path) == {image_id: tmp_path / name}


@pytest.mark.parametrize("names", [("36.jpg", "36.png"), ("a36.jpg", "b036.jpg")])
def test_two_photos_of_one_id_are_an_error_that_names_both(names: tuple[str, str], tmp_path: Path) -> None:
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=f"image id 36 fits two photos, {names[0]} and {names[1]}"):
        find_images([36], tmp_path)


def test_ids_without_a_photo_are_listed_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg")
    with pytest.raises(InputError, match="no photo for 7 image ids: 2, 3, 4, 5, 6 and 2 more"):
        find_images(range(1, 9), tmp_path)
    with pytest.raises(InputError, match="no photo for image id 'a'"):
        find_images(["a"], tmp_path)


@pytest.mark.parametrize(
    ("image_id", "names"),
    [(401, None), ("im00401.jpg", None), ("train/im00401.jpg", None), (7, {7: "im00401.jpg"})],
)
def test_a_missing_photo_that_lies_in_a_subfolder_is_told(
    image_id: int | str, names: dict[int | str, str] | None, tmp_path: Path
) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    touch(folder, "im00401.jpg", "._im00402.jpg", "im00403.txt")
    touch(tmp_path, "other.jpg")
    told = f"im00401.jpg lies in {folder}, and subfolders are not searched: name that folder (--images)"
    with pytest.raises(InputError, match=re.escape(told)):
        find_images([image_id, "other"], tmp_path, names and {**names, "other": "other.jpg"})
    for absent in (402, 403, 404):
        with pytest.raises(InputError, match="the number that ends it must equal the id"):
            find_images([absent, "other"], tmp_path)


def test_the_search_of_subfolders_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_SEARCHED", 3)
    (tmp_path / "sub").mkdir()
    touch(tmp_path / "sub", *(f"{number}.txt" for number in range(9)))
    seen: list[Path] = []

    def is_photo(path: Path) -> bool:
        seen.append(path)
        return False

    monkeypatch.setattr(images, "_is_photo", is_photo)
    with pytest.raises(InputError, match="no photo"):
        find_images([1], tmp_path)
    assert len([path for path in seen if path.parent != tmp_path]) == 3


def test_the_folder_must_exist(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("nowhere", "nowhere/there"):
        with pytest.raises(InputError, match=f"got .*{name}, which is not a folder$"):
            find_images([1], tmp_path / name)
    with pytest.raises(InputError, match=r"which is not a folder; did you mean .*photos\?$"):
        find_images([1], tmp_path / "photo")


def test_a_list_of_names_replaces_matching(tmp_path: Path) -> None:
    (tmp_path / "day 1").mkdir()
    touch(tmp_path, "36.jpg", "day 1/beach.jpg")
    assert find_images([36], tmp_path, {36: "day 1/beach.jpg"}) == {36: tmp_path / "day 1" / "beach.jpg"}
    with pytest.raises(InputError, match="no photo for 2 image ids: 37, 38"):
        find_images([36, 37, 38], tmp_path, {36: "36.jpg", 37: "gone.jpg"})


def test_the_ids_of_a_photo_follow_the_same_rule() -> None:
    ids: list[int | str] = [36, 37, "im00036", "im00036.jpg", "36", "im36"]
    assert image_ids_of("photos/im00036.jpg", ids) == {36, "36", "im00036", "im00036.jpg"}


@pytest.mark.parametrize(
    ("image_id", "name"),
    [
        ("my%20photo%281%29.jpg", "my photo(1).jpg"),
        ("my%20photo.jpg", "my%20photo.jpg"),
        ("IM_7A.JPG", "im_7a.jpg"),
        ("Stra\u00dfe", "STRASSE.png"),
        ("cafe\u0301.jpg", "caf\u00e9.jpg"),
        ("/home/somebody/data/im7.jpg", "im7.jpg"),
        ("C:\\Users\\somebody\\im7.jpg", "im7.jpg"),
        ("D:\\pictures\\Im%207.JPG", "im 7.jpg"),
        ("data/000036", "im36.jpg"),
    ],
)
def test_names_as_other_machines_write_them_find_their_photo(
    image_id: str, name: str, tmp_path: Path
) -> None:
    touch(tmp_path, name, "other.jpg")
    assert find_images([image_id], tmp_path) == {image_id: tmp_path / name}
    assert image_ids_of(tmp_path / name, [image_id, "other"]) == {image_id}


def test_an_exact_name_goes_before_one_that_is_nearly_so(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "A.jpg", "a b.jpg", "a%20b.jpg")
    if len(list(tmp_path.iterdir())) < 4:
        pytest.skip("this file system knows no upper and lower case")
    assert find_images(["a.jpg", "A.jpg", "a%20b.jpg"], tmp_path) == {
        name: tmp_path / name for name in ("a.jpg", "A.jpg", "a%20b.jpg")
    }
    with pytest.raises(InputError, match=r"image id 'A\.JPG' fits two photos, A\.jpg and a\.jpg"):
        find_images(["A.JPG"], tmp_path)


def test_a_path_finds_the_longest_end_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    touch(tmp_path, "x.jpg", "two/x.jpg")
    assert find_images(["/data/one/x.jpg"], tmp_path) == {"/data/one/x.jpg": tmp_path / "x.jpg"}
    assert find_images([1], tmp_path, {1: "/data/two/x.jpg"}) == {1: tmp_path / "two" / "x.jpg"}
    with pytest.raises(
        InputError, match=r"'/a/x\.jpg' and '/b/x\.jpg' are two photos, and only x\.jpg is there"
    ):
        find_images([1, 2], tmp_path, {1: "/a/x.jpg", 2: "/b/x.jpg"})


@pytest.mark.parametrize("before", ["../", "./../", "sub/../../", "..\\"])
def test_no_id_reaches_outside_of_the_folder(before: str, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    touch(tmp_path, "outside.jpg", "photos/inside.jpg")
    assert find_images([f"{before}inside.jpg"], photos) == {f"{before}inside.jpg": photos / "inside.jpg"}
    for image_id in (f"{before}outside.jpg", before):
        with pytest.raises(InputError, match="no photo for image id"):
            find_images([image_id], photos)


@pytest.mark.parametrize("image_id", ["x" * 300 + ".jpg", "sub/" + "x" * 300 + ".jpg"])
def test_a_name_longer_than_those_of_files_has_no_photo(image_id: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photo for image id"):
        find_images([image_id], tmp_path)


def test_an_id_is_matched_with_names() -> None:
    match = id_matcher({1: "a/000036.jpg", 2: "b/000036.jpg", 0: "c.jpg"})
    assert [match(name) for name in ("c", "/data/b/000036.jpg", "d.jpg")] == [0, 2, None]
    with pytest.raises(InputError, match="image id 36 fits two photos"):
        match(36)


def test_two_annotated_photos_of_one_name_are_told_apart_or_refused() -> None:
    match = id_matcher({1: "a.jpg", 2: "a.jpg", 3: "b.jpg"})
    assert match("b") == 3
    for name in ("a", "/data/A.JPG"):
        with pytest.raises(
            InputError, match=f"image id '{name}' fits two photos, those of ids 1 and 2, which"
        ):
            match(name)


def test_photos_have_sizes_as_they_are_seen(pixels: Pixels, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(pixels), "PNG"))
    (tmp_path / "b.png").write_bytes(encoded(Image.fromarray(pixels), "PNG", exif=exif))
    (tmp_path / "c.png").write_text("nothing")
    assert photo_sizes(tmp_path)("a") == (48, 32)
    assert photo_sizes(tmp_path, {5: "b.png"})(5) == (32, 48)
    assert photo_sizes(tmp_path, exif="ignore")("b") == (48, 32)
    with pytest.raises(InputError, match=r"c\.png: cannot be read as a photo"):
        photo_sizes(tmp_path)("c")


@pytest.mark.parametrize(
    "text", ["Train/Clip/a.jpg", "/data/Train/clip/A.JPG", r"D:\\TRAIN\\clip\\a.jpg", "train%2Fx/a.jpg"]
)
def test_folders_of_another_case_are_found(text: str, tmp_path: Path) -> None:
    for folder in ("train/clip", "test/clip", "train%2fX"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.jpg").touch()
    found = find_images([text], tmp_path)[text]
    assert found == tmp_path / ("train%2fX/a.jpg" if "%" in text else "train/clip/a.jpg")


def test_an_exact_folder_goes_before_one_of_another_case(tmp_path: Path) -> None:
    for folder in ("Train", "train", "TRAIN"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").touch()
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this file system takes them for one")
    assert find_images(["train/a.jpg"], tmp_path) == {"train/a.jpg": tmp_path / "train" / "a.jpg"}
    with pytest.raises(InputError, match=r"'tRAIN/a\.jpg' fits two photos"):
        find_images(["tRAIN/a.jpg"], tmp_path)


def test_folders_decide_which_annotated_photo_is_meant() -> None:
    match = id_matcher({1: "Train/a.jpg", 2: "test/a.jpg"})
    assert [match(text) for text in ("train/A.jpg", r"C:\\Test\\a.jpg", "Train/a.jpg")] == [1, 2, 1]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({1: "1/0001.jpg", 2: "2/0001.jpg"}, {"11/0001.jpg": None, "2/0001.jpg": 2, "x/2/0001.JPG": 2}),
        ({1: "1/0001.jpg", 11: "11/0001.jpg"}, {"11/0001.jpg": 11, "/data/11/0001": 11, "1/0001.jpg": 1}),
        ({1: "a/0001.jpg"}, {"b/0001.jpg": None, "/x/A/0001.jpg": 1, "a/0001": 1, "0001.jpg": 1, 1: 1}),
        ({1: "train/a/x.jpg"}, {"a/x.jpg": 1, "n/a/x.jpg": None, "./a/x.jpg": 1, "/train/a/x.jpg": 1}),
        (
            {1: "x.jpg", 2: "a/x.jpg", 3: "n/a/x.jpg"},
            {"x.jpg": 1, "a/x.jpg": 2, "/n/a/x.jpg": 3, "b/x.jpg": 1},
        ),
        ({1: "a/x.jpg", 2: "b/X.jpg"}, {"b/x.jpg": 2, "a/X.jpg": 1}),
        ({1: "A/x.jpg", 2: "a/x.jpg"}, {"/data/A/x.jpg": 1, "/data/a/x.jpg": 2}),
        ({1: "data\\a\\x.jpg"}, {"data/a/x.jpg": 1, "D:\\data\\a\\x.jpg": 1, "x": 1, "b/x.jpg": None}),
    ],
)
def test_whole_folders_are_compared_not_the_ends_of_their_names(
    names: dict[int | str, str], found: dict[int | str, int | None]
) -> None:
    match = id_matcher(names)
    assert {image_id: match(image_id) for image_id in found} == found


def test_absent_photos_are_named_if_some_are_there(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    names: dict[int | str, str] = {1: "1.jpg", 2: "x/2.jpg"}
    assert find_images([1, "b.jpg", r"c\d.jpg"], tmp_path, absent="keep") == {
        1: tmp_path / "1.jpg",
        "b.jpg": tmp_path / "b.jpg",
        r"c\d.jpg": tmp_path / "d.jpg",
    }
    assert find_images([1, 2], tmp_path, names, absent="keep") == {
        1: tmp_path / "1.jpg",
        2: tmp_path / "2.jpg",
    }
    with pytest.raises(InputError, match=r"no photo for 2 image ids: 8, 9; .*give their video instead"):
        find_images([8, 9], tmp_path, absent="keep")
    assert find_images([], tmp_path, absent="keep") == {}


def test_a_folder_is_listed_once_for_many_calls(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    find = image_finder(tmp_path)
    assert find([1, 2], None) == {1: tmp_path / "1.jpg", 2: tmp_path / "2"}
    (tmp_path / "1.png").touch()
    assert find([1], {1: "1"}) == {1: tmp_path / "1.jpg"}, "else the id fits two photos"

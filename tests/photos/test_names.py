"""What new files are called, one for each photo."""

import numpy as np
import pytest

from posefix.photos.names import photo_stems
from posefix.pose.poses import ImageId, Poses
from posefix.pose_files.pose_file import FormatError, NewFile
from posefix.skeletons import load_skeleton


def of_photos(*image_ids: ImageId) -> NewFile:
    """A pose for each image id."""
    count, nose = len(image_ids), load_skeleton("coco17").subset(["nose"])
    ones = np.ones((count, 1))
    return NewFile(Poses(np.ones((count, 1, 2)), ones, ones > 0, image_ids, np.ones(count), nose))


def test_files_are_called_as_the_photos() -> None:
    stems = photo_stems(of_photos("a/one.JPG", 7, "C:\\two.v2", 7), "labels")
    assert stems == {"a/one.JPG": "one", 7: "7", "C:\\two.v2": "two.v2"}


@pytest.mark.parametrize(
    "names", [("a/x.jpg", "b/x.png"), ("A.jpg", "a.jpg"), ("STRASSE", "stra\u00dfe.jpg")]
)
def test_two_photos_of_one_name_are_refused_whatever_the_case(names: tuple[str, str]) -> None:
    with pytest.raises(FormatError, match=r"are both of a photo .* since labels are called as the photos"):
        photo_stems(of_photos(*names), "labels")


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_photo_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match=f"image id '{name}' has no name of a photo"):
        photo_stems(of_photos("x", name), "labels")

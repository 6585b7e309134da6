"""Neurodata Without Borders with the extension ndx-pose: poses over time, HDF5.

Types as in spec/ndx-pose.extensions.yaml of https://github.com/rly/ndx-pose: a `PoseEstimation` for each individual, in
it a `PoseEstimationSeries` for each node with `data` (frames, x and y in pixels) and maybe `confidence`, and a link
to the `Skeleton` that names nodes and edges. Versions before .2 name them in the `PoseEstimation` itself.
"""

from __future__ import annotations

from posefix.errors import InputError
from posefix.pose_files import hdf5
from posefix.pose_files.pose_file import Format, FormatError, PoseFile, Reading, Source, require_libraries

NAME = "nwb"
ENDINGS = (".nwb",)


def recognise(source: Source) -> str | None:
    """Whether a file is of Neurodata Without Borders."""
    known = source.path.suffix.lower() in ENDINGS and source.path.is_file()
    return "its name ends in .nwb" if known else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read the poses of all individuals, frame by frame; frames are the rows of the series.

    Raises:
        FormatError: The file is faulty, has no poses of ndx-pose, or h5py is not installed.
    """
    path = source.path
    require_libraries(path, "h5py")
    content = source.content
    if not content.startswith(hdf5.SIGNATURE):
        raise FormatError(f"{path}: expected an HDF5 file, got other contents; write it again.")
    from posefix.formats.nwb_series import read_series

    try:
        return read_series(path, content, reading)
    except FormatError:
        raise
    except InputError as error:
        raise FormatError(f"{path}: {error}") from error
    except hdf5.READING_ERRORS as error:
        raise FormatError(
            f"{path}: expected a file as pynwb writes it, got a damaged one ({error}); write it again."
        ) from error


FORMAT = Format(
    NAME,
    "NWB with ndx-pose (.nwb)",
    recognise,
    read,
    endings=ENDINGS,
    needs="they need the time and rate of a session, which poses do not have",
)

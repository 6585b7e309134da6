"""SLEAP: labels (.slp, through sleap-io) and analysis files (.h5)."""

from __future__ import annotations

from posefix.errors import InputError
from posefix.pose_files import hdf5
from posefix.pose_files.pose_file import Format, FormatError, PoseFile, Reading, Source, require_libraries

NAME = "sleap"


def recognise(source: Source) -> str | None:
    """Whether a file is of SLEAP."""
    suffix = source.path.suffix.lower()
    if suffix not in (".slp", ".h5", ".hdf5") or not source.path.is_file():
        return None
    if suffix == ".slp":
        return "its name ends in .slp"
    try:
        content = source.content
    except FormatError:
        return None
    known = content.startswith(hdf5.SIGNATURE) and b"track_occupancy" in content and b"node_names" in content
    return "an HDF5 file with tracks, their occupancy and names of nodes" if known else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read a file of SLEAP.

    Raises:
        FormatError: The file is faulty, or a library that reads it is not installed.
    """
    path = source.path
    require_libraries(path, "h5py", *(("sleap_io",) if path.suffix.lower() == ".slp" else ()))
    content = source.content
    if not content.startswith(hdf5.SIGNATURE):
        raise FormatError(f"{path}: expected an HDF5 file, got other contents; write it again with SLEAP.")
    try:
        if path.suffix.lower() == ".slp":
            from posefix.formats.sleap_labels import read_labels

            return read_labels(path, content, reading)
        from posefix.formats.sleap_analysis import read_analysis

        return read_analysis(path, content, reading)
    except FormatError:
        raise
    except InputError as error:
        raise FormatError(f"{path}: {error}") from error
    except hdf5.READING_ERRORS as error:
        raise FormatError(
            f"{path}: expected a file as SLEAP writes it, got a damaged one ({error}); write it again with SLEAP."
        ) from error


FORMAT = Format(
    NAME,
    "SLEAP, labels and analysis files (.slp, .h5)",
    recognise,
    read,
    endings=(".slp", ".h5", ".hdf5"),
    needs="they need the videos; write sleap-csv",
)

"""What the formats stored in HDF5 share; h5py, which reads them, is there only where somebody installed it."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""What every such file begins with."""
READING_ERRORS = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
"""What h5py and damaged or foreign contents raise; a file is the user's, so none of it is a fault of ours."""

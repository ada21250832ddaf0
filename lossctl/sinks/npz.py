"""NumPy's .npz: a zip of .npy members, stored and not compressed, so that they are read in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from lossctl.sinks.heads import npy_head

if TYPE_CHECKING:
    from lossctl.sinks.tables import Spooled


def write(file: BinaryIO, spooled: Spooled) -> None:
    """Write each field as a member."""
    import zipfile

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for sink in spooled.sinks:
            # A member's size is not known to zipfile before it is written, and NumPy, too, allows for more than 4 GB.
            with archive.open(f"{sink.field.name}.npy", "w", force_zip64=True) as member:
                member.write(npy_head([sink.field]))
                for piece in sink.pieces():
                    member.write(piece)

"""A folder, the Files that read from it, and short ways to ask them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from lossctl.sources.files import Files
from lossctl.sources.readers import whole
from lossctl.sources.source import Given


@dataclass
class Folder:
    path: object
    said: list[str] = field(default_factory=list)
    in_format: str = ""

    def __post_init__(self):
        self.files = Files(str(self.path), self.in_format, self.said.append)

    def write(self, name, content):
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def save(self, name, array, version=None):
        with (self.path / name).open("wb") as file:
            np.lib.format.write_array(file, np.asanyarray(array), version=version)

    def again(self):
        self.files = Files(str(self.path), self.in_format, self.said.append)

    def reader(self, text, role="pred"):
        return self.files.open(Given(text), role)

    def array(self, text, role="pred"):
        return whole(self.reader(text, role))

    def fault(self, text, role="pred"):
        """Return the paragraph of the error that opening or reading ends in."""
        from lossctl.errors import InputError

        with pytest.raises(InputError) as caught:
            self.array(text, role)
        return f"{type(caught.value).__name__}: {caught.value.paragraph()}"

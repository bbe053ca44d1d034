"""Define the paths of a checkout's files that the build step reads and replaces."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from attrs import frozen

PACKAGE: Final = "pagerduty_client"


@frozen
class Tree:
    """A checkout.

    Attributes:
        root: Its folder.
    """

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "spec"

    @property
    def overlay(self) -> Path:
        """Return the path of the overlay, which holds all corrections of the published document."""
        return self.spec / "overlay.yaml"

    @property
    def members(self) -> Path:
        """Return the path of the classification of response members that look like a secret."""
        return self.spec / "members.yaml"

    @property
    def descriptions(self) -> Path:
        """Return the path of the descriptions of members and parameters for generated docstrings."""
        return self.spec / "descriptions.yaml"

    @property
    def trimmed(self) -> Path:
        """Return the path of the trimmed document, the generator's only input."""
        return self.spec / "pagerduty.json"

    @property
    def surface(self) -> Path:
        """Return the path of the surface of the published document that was trimmed."""
        return self.spec / "surface.json"

    @property
    def lock(self) -> Path:
        """Return the path of the lock: address, commit and digests of the published document that was trimmed."""
        return self.spec / "upstream.lock"

    @property
    def fixtures(self) -> Path:
        """Return the folder of the published examples that the client's tests use."""
        return self.root / "tests" / "client"

    @property
    def generated(self) -> Path:
        """Return the folder of the generated package."""
        return self.root / "generated" / PACKAGE

    @property
    def methods(self) -> Path:
        """Return the path of the connector's derived methods."""
        return self.root / "arx_wrapper" / "pagerduty" / "methods.py"

    def digests(self, folder: Path | None = None) -> dict[str, str]:
        """Return the digests of the files that the lock lists, in `spec/` or in another folder."""
        files = [self.overlay, self.members, self.trimmed, self.surface]
        found = [folder / file.name if folder else file for file in files]
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


TREE: Final = Tree(Path(__file__).parent.parent)

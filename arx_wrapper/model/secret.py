"""Hold a secret, which no message, log, `repr` or pickle shows."""

from __future__ import annotations

import base64
import hmac
import re
from typing import Final, NoReturn
from urllib.parse import quote

# Masking a shorter text, which is no real secret, would garble the text around it.
_MASKED: Final = 6


class Secret:
    """A text that neither `repr`, `str`, formatting nor pickling shows.

    Tracebacks with local variables, as error trackers and test runners print them, show `'***'`. Write
    `send(secret.reveal())` in the call that needs the text, and keep it in no variable: variables outlive the call in
    the traceback of whatever it raises.
    """

    __slots__ = ("__forms", "__text")

    def __init__(self, text: object) -> None:
        self.__text: object = text.__text if isinstance(text, Secret) else text
        self.__forms: re.Pattern[str] | None = None

    def reveal(self) -> str:
        """Return the text. ValueError when the secret is not text."""
        if not isinstance(self.__text, str):
            raise ValueError("the secret is not text")
        return self.__text

    def fault(self, accepted: re.Pattern[str]) -> str | None:
        """Describe the fault of the text without showing any of it; None when it matches the whole pattern."""
        text = self.__text
        if isinstance(text, str) and accepted.fullmatch(text):
            return None
        return fault_of(text)

    def masked(self, text: str) -> str:
        """Return another text in which this one is masked wherever it occurs: as it is, percent-encoded, or as base64.

        A secret of fewer than six characters is left as it is: masking it would garble the text around it.
        """
        secret = self.__text
        if not isinstance(secret, str) or len(secret) < _MASKED:
            return text
        if self.__forms is None:
            encoded = secret.encode("utf-8", "surrogatepass")
            blobs = (base64.b64encode(encoded), base64.urlsafe_b64encode(encoded))
            forms = {secret, quote(encoded), quote(encoded, safe=""), *(blob.decode().rstrip("=") for blob in blobs)}
            ordered = sorted(map(re.escape, forms), key=len, reverse=True)
            self.__forms = re.compile("|".join(ordered), re.IGNORECASE)
        return self.__forms.sub("***", text)

    def __eq__(self, other: object) -> bool:
        text = other.__text if isinstance(other, Secret) else other
        if not isinstance(text, str) or not isinstance(self.__text, str):
            return False
        return hmac.compare_digest(self.__text.encode("utf-8", "surrogatepass"), text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash(self.__text)

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __repr__(self) -> str:
        return "'***'"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "'***'"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")


def fault_of(value: object) -> str:
    """Describe the fault of a value, without showing any of it."""
    if not isinstance(value, str):
        return "is not text"
    if not value:
        return "is empty"
    if "\r" in value or "\n" in value:
        return "contains a line break"
    if not value.isascii():
        return "contains characters outside ASCII"
    if any(character.isspace() for character in value):
        return "contains a space"
    if not value.isprintable():
        return "contains control characters"
    return "is malformed"

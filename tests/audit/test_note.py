"""Signed notes are C2SP's: held to the vector that Go's own implementation publishes."""

from __future__ import annotations

import pytest

from arx_wrapper import AuditError
from arx_wrapper.audit.transparency.signed_note import Signer, Verifier

# The example of golang.org/x/mod/sumdb/note.
SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.
"""
SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
NOTE = f"{TEXT}\n\u2014 PeterNeumann {SIGNATURE}\n"


def test_the_published_note() -> None:
    signer = Signer.parse(SIGNER)
    assert signer.sign(TEXT) == NOTE
    assert signer.verifier() == VERIFIER
    assert signer.secret() == SIGNER
    assert Verifier.parse(VERIFIER).open(NOTE) == TEXT


def test_other_signatures_on_a_note_do_not_matter() -> None:
    other = Signer.new("other.example")
    both = NOTE + other.sign(TEXT).rpartition("\n\n")[2]
    assert Verifier.parse(VERIFIER).open(both) == TEXT
    assert Verifier.parse(other.verifier()).open(both) == TEXT


@pytest.mark.parametrize(
    "note",
    [
        NOTE.replace("your problem is", "my problem is"),
        NOTE.replace("x08go/Z", "x08go/Y"),
        NOTE.replace("PeterNeumann", "PeterNewmann"),
        NOTE.replace("\u2014", "-"),
        NOTE.rstrip("\n"),
        TEXT,
        "",
    ],
)
def test_what_is_not_signed_is_refused(note: str) -> None:
    with pytest.raises(AuditError):
        Verifier.parse(VERIFIER).open(note)


@pytest.mark.parametrize("text", ["", "x", "a+b+c", VERIFIER.replace("c74f20a3", "c74f20a4"), VERIFIER[:-4], SIGNER])
def test_what_is_not_a_verifiers_key_is_refused(text: str) -> None:
    with pytest.raises(AuditError):
        Verifier.parse(text)


def test_a_signers_key_is_never_shown() -> None:
    secret = SIGNER.rpartition("+")[2]
    assert secret not in repr(Signer.parse(SIGNER))
    with pytest.raises(AuditError) as refused:
        Signer.parse(SIGNER[:-4])
    assert secret[:8] not in str(refused.value)
    for name in ("", "a b", "a+b"):
        with pytest.raises(ValueError, match="name"):
            Signer.new(name)


def test_a_key_has_one_spelling() -> None:
    name, shown, encoded = VERIFIER.split("+", 2)
    for text in (f"{name}+{shown}+!{encoded}", f"{name}+{shown}+{encoded[:5]}\n{encoded[5:]}"):
        with pytest.raises(AuditError, match="not a verifier's key"):
            Verifier.parse(text)

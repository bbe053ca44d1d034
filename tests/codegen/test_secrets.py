"""A member of an answer that looks like a secret, an address or a URL fails the build until it is classified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codegen import secrets, trim
from codegen.errors import CodegenError
from tests.codegen import mini

KNOWN = {"Owner": {"email": "personal"}, "Thing": {"key": "secret"}, "Channel": {"host": "public"}}


def trimmed(member: str | None = None, schema: Any = None, members: Any = None) -> Any:
    published = mini.published()
    if member:
        published["components"]["schemas"]["Thing"]["allOf"][1]["properties"][member] = {**schema, "readOnly": True}
    return trim.trim(published, mini.overlay(), mini.ENDPOINTS, KNOWN if members is None else members)


@pytest.mark.parametrize(
    ("member", "schema"),
    [
        ("web_cal_url", {"type": "string"}),
        ("conferenceAddress", {"type": "string"}),
        ("tokens", {"type": "array", "items": {"type": "string"}}),
        ("feed", {"type": "string", "description": "The private address of the calendar."}),
        ("calendar", {"type": "string", "description": "A URL of a calendar."}),
        ("place", {"type": "string", "format": "uri"}),
        ("signing_secret", {}),
        ("password", {"type": "string", "nullable": True}),
        ("key_2", {"type": ["string", "null"]}),
    ],
)
def test_a_new_member_that_looks_like_a_secret_fails_until_it_is_classified(member: str, schema: Any) -> None:
    with pytest.raises(CodegenError) as raised:
        trimmed(member, schema)
    (fault,) = raised.value.faults
    assert fault.place == f"Thing.{member}"
    assert "may hold a secret, an address or a URL" in fault.cause
    assert f"say under Thing in spec/members.yaml what it is: `{member}: public|personal|secret`" in fault.remedy
    classified = {**KNOWN, "Thing": {**KNOWN["Thing"], member: "secret"}}
    assert (
        trimmed(member, schema, classified)["components"]["schemas"]["Thing"]["properties"][member]["format"]
        == "password"
    )
    public = {**KNOWN, "Thing": {**KNOWN["Thing"], member: "public"}}
    assert (
        trimmed(member, schema, public)["components"]["schemas"]["Thing"]["properties"][member].get("format")
        != "password"
    )


@pytest.mark.parametrize(
    ("member", "schema"),
    [
        ("keyboard", {"type": "string"}),
        ("key_count", {"type": "integer"}),
        ("url_kind", {"type": "string", "enum": ["a"]}),
        ("linked_at", {"type": "string", "format": "date-time", "description": "When the URL was linked."}),
    ],
)
def test_what_can_hold_no_secret_needs_no_entry(member: str, schema: Any) -> None:
    assert member in trimmed(member, schema)["components"]["schemas"]["Thing"]["properties"]


def test_a_published_description_is_read_and_not_carried_over() -> None:
    with pytest.raises(CodegenError, match="its published description or format speaks of 'password'"):
        trimmed("hint", {"type": "string", "description": "The password, in other words."})
    document = trimmed(
        "hint",
        {"type": "string", "description": "The password."},
        {**KNOWN, "Thing": {"key": "secret", "hint": "public"}},
    )
    assert "password." not in str(document)
    assert "x-prose" not in str(document)


def test_an_entry_about_nothing_is_named_with_the_nearest_name() -> None:
    members = {**KNOWN, "Thing": {"key": "secret", "kee": "public"}, "Ownr": {"a": "public"}}
    with pytest.raises(CodegenError) as raised:
        trimmed(members=members)
    assert [fault.place for fault in raised.value.faults] == [
        "spec/members.yaml (Thing.kee)",
        "spec/members.yaml (Ownr)",
    ]
    assert "the nearest is 'key'" in str(raised.value)
    assert "the nearest is 'Owner'" in str(raised.value)


@pytest.mark.parametrize("text", ["a: [", "[]", "Thing: key", "Thing: {key: hidden}", ""])
def test_a_classification_that_is_none_is_said_to_be(tmp_path: Path, text: str) -> None:
    file = tmp_path / "members.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CodegenError, match=r"spec/members\.yaml.* is "):
        secrets.load(file)

"""Our descriptions of members and parameters reach the docstrings; an entry about nothing is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codegen import descriptions
from codegen.errors import CodegenError
from tests.codegen import mini

WORDS: dict[str, Any] = {
    "parameters": {"sort_by": "How to sort."},
    "members": {"any class": {"timeout": "Seconds."}, "ThingUpdate": {"timeout": "Seconds; null is never."}},
}


def test_a_class_own_descriptions_win_over_those_of_any_class() -> None:
    document = descriptions.describe(mini.trimmed(), WORDS)
    assert mini.schema(document, "Thing")["x-descriptions"] == {"timeout": "Seconds."}
    assert mini.schema(document, "ThingUpdate")["x-descriptions"] == {"timeout": "Seconds; null is never."}
    assert document["paths"]["/things"]["get"]["x-descriptions"] == {"sort_by": "How to sort."}
    assert "x-descriptions" not in document["paths"]["/things/{thing_id}"]["put"]


def test_what_is_deprecated_says_so_also_without_descriptions() -> None:
    published = mini.published()
    published["components"]["schemas"]["Thing"]["allOf"][1]["properties"]["timeout"]["deprecated"] = True
    published["components"]["schemas"]["Thing"]["allOf"][1]["properties"]["channel"]["deprecated"] = True
    document = descriptions.describe(mini.trimmed(published), WORDS)
    assert mini.schema(document, "Thing")["x-descriptions"] == {
        "channel": "Deprecated by PagerDuty.",
        "timeout": "Seconds. Deprecated by PagerDuty.",
    }
    assert mini.schema(document, "ThingCreate")["x-descriptions"]["timeout"].endswith("Deprecated by PagerDuty.")


def test_every_entry_about_nothing_is_named_with_the_nearest_name() -> None:
    wrong = {
        "parameters": {"sort_bye": "x"},
        "members": {"any class": {"time_out": "x"}, "ThingUpdte": {"name": "x"}, "Thing": {"nme": "x"}},
    }
    with pytest.raises(CodegenError) as raised:
        descriptions.describe(mini.trimmed(), wrong)
    assert [fault.place.removeprefix("spec/descriptions.yaml ") for fault in raised.value.faults] == [
        "(parameters: sort_bye)", "(any class: time_out)", "(ThingUpdte: name)", "(Thing: nme)",
    ]  # fmt: skip
    assert "the nearest is 'sort_by'" in str(raised.value)


@pytest.mark.parametrize("text", ["a: [", "[]", "parameters: {}", "parameters: {}\nmembers: {Thing: x}", ""])
def test_descriptions_of_another_form_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "descriptions.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CodegenError, match=r"spec/descriptions\.yaml (is not YAML|holds no parameters and members)"):
        descriptions.load(file)

"""Every change of the document that the client is made of is found and weighed as oasdiff does. None is silent."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from codegen import surface
from codegen.checkout_paths import TREE
from codegen.document import operations
from codegen.rules import RULES, Level
from tests.codegen import mutations

DOCUMENT = json.loads(TREE.trimmed.read_text("utf-8"))
ENDPOINTS = tuple(f"{method.upper()} {path}" for path, method, _ in operations(DOCUMENT))
LEVELS = {"ERR": Level.BREAKING, "WARN": Level.WARNING, "INFO": Level.INFO}


@pytest.mark.parametrize("rule", mutations.OASDIFF)
def test_a_rule_that_oasdiff_has_too_has_its_level(rule: str) -> None:
    assert RULES[rule].level is LEVELS[mutations.OASDIFF[rule]]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_118_changes_and_more_are_each_found_by_the_rules_that_are_for_them() -> None:
    made = mutations.mutations(DOCUMENT, ENDPOINTS, seed=7)
    assert len(made) >= 118
    assert len(Counter(mutation.kind for mutation in made)) >= 40
    old = surface.published(DOCUMENT, ENDPOINTS)
    found = [mutations.judged(DOCUMENT, old, ENDPOINTS, mutation) for mutation in made]
    assert [f"{each.mutation.kind}, {each.mutation.place}: {each.wrong}" for each in found if each.wrong] == []
    assert {each.level for each in found} == set(Level)

"""Filters hide parts of an answer: by name, by path, by default, with exceptions."""

from __future__ import annotations

import gc
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arx_wrapper.core.redaction import HIDDEN, Filter
from arx_wrapper.model import Visibility

DEFAULT = ("email", "contact_methods.address")


def rule(*, hide: tuple[str, ...] = (), show: tuple[str, ...] = ()) -> Visibility:
    return Visibility(policy="p", hide=hide, show=show)


def filtered(body: Any, *effects: tuple[Visibility, ...], default: tuple[str, ...] = ()) -> Any:
    Filter.of(default, effects or ((),)).apply(body, envelopes=["user"])
    return body


def user() -> dict[str, Any]:
    return {
        "user": {
            "id": "P1",
            "name": "Ada",
            "email": "ada@example.com",
            "seats": 2,
            "admin": True,
            "teams": [{"id": "T1", "summary": "Data"}, {"id": "T2", "summary": "Web"}],
            "tags": ["a", "b"],
            "contact_methods": [{"type": "phone", "address": "+1 555", "country_code": 1}],
        }
    }


@pytest.mark.parametrize(
    ("hide", "hidden"),
    [
        ("email", {"email": HIDDEN}),
        ("*.email", {"email": HIDDEN}),
        ("user.email", {"email": HIDDEN}),
        ("*.user.email", {"email": HIDDEN}),
        ("e*l", {"email": HIDDEN}),
        ("*mail", {"email": HIDDEN}),
        ("seats", {"seats": None}),
        ("admin", {"admin": None}),
        ("tags", {"tags": None}),
        ("teams", {"teams": None}),
        ("teams.summary", {"teams": [{"id": "T1", "summary": HIDDEN}, {"id": "T2", "summary": HIDDEN}]}),
        ("te*.sum*", {"teams": [{"id": "T1", "summary": HIDDEN}, {"id": "T2", "summary": HIDDEN}]}),
        ("contact_methods.*e*", {"contact_methods": [{"type": HIDDEN, "address": HIDDEN, "country_code": None}]}),
        ("mail", {}),
        ("user.summary", {}),
        ("teams.email", {}),
        ("Email", {}),
        ("user", {}),  # what was asked for is not hidden as a whole
    ],
)
def test_a_glob_hides_the_members_that_its_path_ends_in(hide: str, hidden: dict[str, Any]) -> None:
    expected = {"user": {**user()["user"], **hidden}}
    assert filtered(user(), (rule(hide=(hide,)),)) == expected


def test_what_is_hidden_by_default_is_shown_by_any_entry_of_the_effect() -> None:
    assert filtered(user(), default=DEFAULT)["user"]["email"] == HIDDEN
    assert filtered(user(), (rule(), rule(show=("email",))), default=DEFAULT)["user"]["email"] == "ada@example.com"
    shown = filtered(user(), (rule(show=("contact_methods.address",)),), default=DEFAULT)["user"]
    assert shown["email"] == HIDDEN
    assert shown["contact_methods"][0]["address"] == "+1 555"


def test_what_one_entry_hides_no_other_entry_shows() -> None:
    both = (rule(hide=("email",)), rule(show=("email", "*")))
    assert filtered(user(), both)["user"]["email"] == HIDDEN
    assert filtered(user(), tuple(reversed(both)))["user"]["email"] == HIDDEN


def test_what_one_effect_hides_no_other_effect_shows() -> None:
    shows, silent = (rule(show=("email",)),), ()
    assert filtered(user(), shows, default=DEFAULT)["user"]["email"] == "ada@example.com"
    assert filtered(user(), shows, silent, default=DEFAULT)["user"]["email"] == HIDDEN
    assert filtered(user(), silent, shows, default=DEFAULT)["user"]["email"] == HIDDEN


def test_show_makes_exceptions_to_the_hide_of_its_own_entry() -> None:
    only = rule(hide=("*",), show=("id", "user.name"))
    assert filtered(user(), (only,)) == {
        "user": {
            "id": "P1",
            "name": "Ada",
            "email": HIDDEN,
            "seats": None,
            "admin": None,
            "teams": [{"id": "T1", "summary": HIDDEN}, {"id": "T2", "summary": HIDDEN}],
            "tags": None,
            "contact_methods": None,
        }
    }
    whole = rule(hide=("*",), show=("teams",))
    assert filtered(user(), (whole,))["user"]["teams"] == user()["user"]["teams"], "shown with all that it holds"
    part = rule(hide=("teams.summary",), show=("teams",))
    assert filtered(user(), (part,))["user"]["teams"][0] == {"id": "T1", "summary": HIDDEN}


def test_an_object_that_is_shown_still_hides_what_is_hidden_by_default_in_it() -> None:
    shown = (rule(show=("user", "contact_methods")),)
    body = filtered(user(), shown, default=DEFAULT)["user"]
    assert (body["email"], body["contact_methods"][0]["address"]) == (HIDDEN, HIDDEN)


def test_the_list_says_of_itself_what_it_says() -> None:
    body = {"users": [{"id": "P1"}], "limit": 25, "offset": 0, "more": True, "total": None, "other": 1}
    Filter.of((), ((rule(hide=("*",)),),)).apply(body, envelopes=["users"])
    assert body == {"users": [{"id": HIDDEN}], "limit": 25, "offset": 0, "more": True, "total": None, "other": None}
    body = {"users": [{"id": "P1", "name": "Ada"}], "more": False}
    Filter.of((), ((rule(hide=("*",), show=("name",)),),)).apply(body, envelopes=["users"])
    assert body == {"users": [{"id": HIDDEN, "name": "Ada"}], "more": False}


def test_what_was_hidden_is_counted_by_glob_and_never_told() -> None:
    body = {"users": [user()["user"], user()["user"], {"email": None}]}
    counted = Filter.of(DEFAULT, ((rule(hide=("teams",)),),)).apply(body, envelopes=["users"])
    assert counted == {"email": 2, "contact_methods.address": 2, "teams": 8}
    again = Filter.of(DEFAULT, ((rule(hide=("teams",)),),)).apply(body, envelopes=["users"])
    assert not again, "what is hidden already is not counted again"


def test_what_the_caller_named_itself_stays() -> None:
    body = {"users": [user()["user"], {**user()["user"], "email": "bram@example.com"}]}
    hidden = Filter.of(DEFAULT, ((),)).apply(body, envelopes=["users"], known={"ada@example.com"})
    assert [one["email"] for one in body["users"]] == ["ada@example.com", HIDDEN]
    assert hidden == {"email": 1, "contact_methods.address": 2}
    Filter.of(DEFAULT, ((rule(hide=("email",)),),)).apply(body, envelopes=["users"], known={"ada@example.com"})
    assert [one["email"] for one in body["users"]] == [HIDDEN, HIDDEN], "what an entry hides stays hidden"


_LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
_NAME = st.sampled_from(["a", "b", "ab", "email", "x"])
_JSON = st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAME, inner, max_size=3))
_GLOB = st.sampled_from(["a", "b", "a.b", "*", "*.a", "a*", "x.*", "email", "*.email", "b.a*"])
_RULE = st.builds(
    Visibility,
    policy=st.just("p"),
    hide=st.lists(_GLOB, max_size=2).map(tuple),
    show=st.lists(_GLOB, max_size=2).map(tuple),
)


def matches(pattern: str, path: tuple[str, ...]) -> bool:
    """The end of the path, name by name; a `*` at the beginning stands for nothing as well."""
    from tests.policy.oracle import matches as text_matches

    parts = pattern.split(".")
    while len(parts) > 1 and parts[0] == "*":
        parts = parts[1:]
    return len(parts) <= len(path) and all(
        text_matches(part, name) for part, name in zip(parts[::-1], path[::-1], strict=False)
    )


def is_hidden(path: tuple[str, ...], effects: Any) -> bool:
    """Said plainly: the nearest member on the way that an entry names, and how."""
    for rules in effects:
        states: list[bool] = []
        for one in rules:
            state = "*" in one.hide
            for depth in range(1, len(path) + 1):
                if any(matches(glob, path[:depth]) for glob in one.show):
                    state = False
                elif any(matches(glob, path[:depth]) for glob in one.hide if glob != "*"):
                    state = True
            states.append(state)
        by_default = False
        for depth in range(1, len(path) + 1):
            if any(matches(glob, path[:depth]) for one in rules for glob in one.show):
                by_default = False
            elif any(matches(glob, path[:depth]) for glob in DEFAULT):
                by_default = True
        if any(states) or by_default:
            return True
    return False


def leaves(value: Any, path: tuple[str, ...] = ()) -> Any:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield path, value


@given(st.dictionaries(_NAME, _JSON, max_size=3), st.lists(st.lists(_RULE, max_size=2), min_size=1, max_size=2))
def test_no_value_is_left_that_the_oracle_hides_and_none_is_missing_that_it_shows(body: Any, rules: Any) -> None:
    import copy

    before, effects = copy.deepcopy(body), tuple(tuple(group) for group in rules)
    Filter.of(DEFAULT, effects).apply(body)
    after = list(leaves(body))
    shown = [(path, value) for path, value in leaves(before) if path and not is_hidden(path, effects)]
    assert [(path, value) for path, value in after if path and not is_hidden(path, effects)][: len(shown)] == shown
    assert all(value in (None, HIDDEN) for path, value in after if is_hidden(path, effects))


_RECORD = st.builds(lambda record, of: {"id": of, **record}, st.dictionaries(_NAME, _JSON, max_size=3), _JSON)


@given(st.lists(_RECORD, min_size=1, max_size=14), st.lists(st.lists(_RULE, max_size=2), min_size=1, max_size=2))
def test_a_body_that_is_said_to_hold_nothing_to_hide_holds_nothing_to_hide(records: Any, rules: Any) -> None:
    import copy

    body = {"records": records, "more": False}
    wanted = Filter.of(DEFAULT, tuple(tuple(group) for group in rules))
    if not wanted.concerns(body):
        before = copy.deepcopy(body)
        assert not wanted.apply(body, envelopes=["records"])
        assert body == before


@pytest.mark.parametrize("count", [1, 100])
def test_what_is_to_be_hidden_is_found_in_any_record_of_a_list_and_at_any_depth(count: int) -> None:
    def page(last: dict[str, Any]) -> dict[str, Any]:
        return {"records": [{"id": "P1", "owner": {"id": "U1", "name": "x"}} for _ in range(count - 1)] + [last]}

    wanted = Filter.of(("email",), ((),))
    assert not wanted.concerns(page({"id": "P1", "owner": None}))
    pages = [
        page(last)
        for last in (
            {"email": "a@example.com"},
            {"owner": {"email": "a@example.com"}},
            {"owner": {"data": [1, [{"id": {"email": "a@example.com"}}]]}},
            {"owner": {"name": {"email": "a@example.com"}}},
            {"id": {"email": "a@example.com"}},  # what is documented as text may be anything, from an unhelpful server
            {"id": [{"email": "a@example.com"}]},
            {"id": [[{"name": {"email": "a@example.com"}}]]},
            {"id": "P1", "owner": {"id": {"email": "a@example.com"}}},
            {"owner": [{"id": "U1"}, {"id": ["x", {"email": "a@example.com"}]}]},
        )
    ]
    received = [orjson.loads(orjson.dumps(one)) for one in pages]
    assert all(wanted.concerns(one) for one in [*pages, *received])
    gc.collect()  # which may stop tracking objects
    assert all(wanted.concerns(one) for one in [*pages, *received])


def test_nothing_is_looked_for_where_policy_shows_whatever_is_hidden_by_default() -> None:
    body = {"users": [user()["user"]]}
    for shows in (("*",), ("email", "address"), ("email", "contact_methods.address")):
        wanted = Filter.of(DEFAULT, ((rule(show=shows),),))
        assert not wanted.hides
        assert not wanted.concerns(body)
    assert Filter.of(DEFAULT, ((rule(show=("email",)),),)).hides
    assert Filter.of((), ((rule(hide=("*",), show=("*",)),),)).hides
    assert Filter.of(DEFAULT, ((rule(show=("email",)),),)).concerns(body)
    assert Filter.of(DEFAULT, ((rule(show=("*",)),), ())).concerns(body), "each effect has to show it"

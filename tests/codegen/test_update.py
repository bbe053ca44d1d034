"""One command makes a client and a report of a published document; until all has passed nothing changes."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from codegen import __main__, compare, correction, generate, impact, surface, trim, update, update_report, upstream
from codegen.checkout_paths import Tree
from codegen.document import text
from codegen.errors import CodegenError
from tests.codegen import mini

JSON = dict[str, Any]
MEMBERS = "Owner: {email: personal}\nThing: {key: secret}\nChannel: {host: public}\n"
COMMIT = "91a06fb3c64b0ab2b2bd6c485d12b327dfb55c18"
PASSES = """
def test_the_package_is_the_new_one():
    import pagerduty_client
    assert ".update-" in pagerduty_client.__file__
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    (folder / "spec.json").write_text(text(mini.trimmed()), encoding="utf-8")
    return generate.render(folder / "spec.json", folder)


@pytest.fixture
def tree(tmp_path: Path, package: Path) -> Tree:
    """A checkout of the mini document, up to date."""
    tree = Tree(tmp_path / "checkout")
    tree.spec.mkdir(parents=True)
    tree.generated.parent.mkdir()
    (tree.root / "tests" / "client").mkdir(parents=True)
    for name in ("__init__.py", "serving.py"):
        (tree.root / "tests" / name).touch()
    (tree.root / "tests" / "client" / "test_it.py").write_text(PASSES, encoding="utf-8")
    shutil.copytree(package, tree.generated)
    dumped = yaml.safe_dump({**mini.overlay(), "extends": "urn:sha256:0"}, sort_keys=False)
    tree.overlay.write_text(correction.dump(correction.load(dumped, "overlay")), encoding="utf-8")
    tree.members.write_text(MEMBERS, encoding="utf-8")
    tree.descriptions.write_text("parameters: {}\nmembers: {}\n", encoding="utf-8")
    tree.trimmed.write_text(text(mini.trimmed()), encoding="utf-8")
    tree.surface.write_text(surface.text(surface.published(mini.published(), mini.ENDPOINTS)), encoding="utf-8")
    lock = {"url": None, "repository": "o/r", "path": "p.json", "commit": None, "sha256": "0", **tree.digests()}
    tree.lock.write_text(json.dumps(lock), encoding="utf-8")
    return tree


def contents(tree: Tree) -> dict[str, bytes]:
    return {str(p.relative_to(tree.root)): p.read_bytes() for p in tree.root.rglob("*") if p.is_file()}


def written(tree: Tree, published: JSON) -> str:
    file = tree.root.parent / "published.json"
    file.write_text(json.dumps(published), encoding="utf-8")
    return str(file)


def run(tree: Tree, source: str | None, *, install: bool = True, **more: Any) -> update_report.Report:
    options: Any = {"thorough": False, "connector": lambda: {"unknown": "not asked"}, **more}
    return update.Update(source=source, tree=tree, endpoints=mini.ENDPOINTS, **options).run(install=install)


def with_colour() -> JSON:
    published = mini.published()
    published["components"]["schemas"]["Thing"]["allOf"][1]["properties"]["colour"] = {"type": "string"}
    return published


def test_an_update_replaces_spec_and_client_together_and_reports(tree: Tree) -> None:
    made = run(tree, written(tree, with_colour()), thorough=True)
    assert made.faults == ()
    assert [step for step, outcome in made.steps if outcome == "passed"] == [
        "read the document", "read its surface", "trim", "generate", "check that nothing is lost", "check its types",
        "run the client's tests", "put in place",
    ]  # fmt: skip
    assert "colour" in json.loads(tree.trimmed.read_text())["components"]["schemas"]["Thing"]["properties"]
    assert "colour: str | None" in (tree.generated / "models" / "thing.py").read_text()
    assert trim.stale(tree) == []
    lock = trim.load_lock(tree)
    assert f"extends: urn:sha256:{lock['sha256']}" in tree.overlay.read_text()
    assert made.step == "minor"
    assert [each.partition(" (")[0] for each in made.policy] == ["1 new member of a write"] * 2
    assert not list(tree.root.glob(".update-*"))
    again = run(tree, str(tree.root.parent / "published.json"))
    assert (again.published, again.client, again.step) == ((), (), "none")


def examples_in(published: JSON, text: str) -> JSON:
    """Put an example of a response in, which the trimmed document does not hold and the client's tests use."""
    response = published["paths"]["/things"]["get"]["responses"]["200"]
    response["content"]["application/json"]["examples"] = {"one": {"value": {"things": [{"id": text}]}}}
    return published


def test_what_is_the_same_is_not_generated_again_and_a_changed_example_is(tree: Tree) -> None:
    def generated(source: str, **more: Any) -> list[str]:
        return [said for step, said in run(tree, source, **more).steps if step == "generate"]

    skipped = ["not needed: the trimmed document and its examples are the same"]
    published = examples_in(mini.published(), "first")
    assert generated(written(tree, published)) == ["passed"], "the examples are new"
    assert generated(written(tree, published)) == skipped
    assert generated(written(tree, published), always=True) == ["passed"]
    published["info"]["description"] = "Prose that is not ours."
    assert generated(written(tree, published)) == skipped
    assert generated(written(tree, examples_in(published, "second"))) == ["passed"]


def test_the_connectors_methods_are_derived_from_the_new_client_and_put_in_place_with_it(tree: Tree) -> None:
    tree.methods.parent.mkdir(parents=True)
    tree.methods.write_text("before", encoding="utf-8")
    source = written(tree, with_colour())

    def derive(tree: Tree, package: Path, spec: Path) -> str:
        assert (package / "pagerduty_client" / "models" / "thing.py").read_text().count("colour: str | None")
        return f"after, of {len(json.loads(spec.read_text())['paths'])} paths"

    def fail(*_: object) -> str:
        raise CodegenError("the row things:read", "has no endpoint GET /things", "correct it")

    assert [fault.place for fault in run(tree, source, derive=fail).faults] == ["the row things:read"]
    assert tree.methods.read_text() == "before"
    assert run(tree, source, derive=derive).faults == ()
    assert tree.methods.read_text() == "after, of 2 paths"


def test_the_clients_tests_import_nothing_of_the_tests_that_an_update_does_not_copy() -> None:
    root = Path(update.__file__).parent.parent
    copied = {name.removesuffix(".py").replace("/", ".") for name in update.TESTED}
    files = [root / name for name in update.TESTED if name.endswith(".py")] + [*(root / "tests/client").glob("*.py")]
    imported = {
        node.module
        for file in files
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tests")
    }
    assert "tests.serving" in imported
    assert not {name for name in imported if name not in copied and not name.startswith("tests.client")}


def test_a_dry_run_changes_nothing_and_reports_the_same(tree: Tree) -> None:
    before = contents(tree)
    made = run(tree, written(tree, with_colour()), install=False)
    assert contents(tree) == before
    assert made.faults == ()
    assert {each.rule for each in made.published} == {
        "new-optional-request-property",
        "response-optional-property-added",
    }


@pytest.mark.parametrize("broken", ["overlay", "secret", pytest.param("tests", marks=pytest.mark.slow), "type", "disk"])
def test_whatever_fails_nothing_changes(tree: Tree, broken: str) -> None:
    published = with_colour()
    members = published["components"]["schemas"]["Thing"]["allOf"][1]["properties"]
    if broken == "overlay":
        members["secret_key"] = members.pop("key")
    elif broken == "secret":
        members["access_token"] = {"type": "string", "readOnly": True}
    elif broken == "type":
        members["name"] = {"type": "strin"}
    elif broken == "tests":
        (tree.root / "tests" / "client" / "test_it.py").write_text("def test_it():\n    assert False\n")
    else:
        shutil.rmtree(tree.generated.parent)  # so that the last step fails, when spec/ is in place already
    before = contents(tree)
    made = run(tree, written(tree, published), thorough=broken == "tests")
    assert made.faults
    assert contents(tree) == before
    assert all(fault.place and fault.cause and fault.remedy for fault in made.faults)
    assert "cannot be built" in update_report.markdown(made)
    assert update_report.as_json(made)["ok"] is False


def test_all_that_is_wrong_is_in_one_report(tree: Tree) -> None:
    published = mini.published()
    members = published["components"]["schemas"]["Thing"]["allOf"][1]["properties"]
    members["keys"] = members.pop("key")
    members["owned"] = members.pop("owner")
    members["access_token"] = {"type": "string", "readOnly": True}
    made = run(tree, written(tree, published))
    places = [fault.place for fault in made.faults]
    assert len([place for place in places if place.startswith("spec/overlay.yaml:")]) == 2
    assert "Thing.access_token" in places
    assert "(once the overlay is corrected)" in next(f.cause for f in made.faults if f.place == "Thing.access_token")


def test_pruning_takes_out_what_is_fixed_and_installs_the_rest(tree: Tree) -> None:
    published = mini.published()
    del published["components"]["schemas"]["Channel"]["properties"][""]
    refused = run(tree, written(tree, published))
    assert "remove it: PagerDuty has fixed this" in refused.faults[0].remedy
    made = run(tree, written(tree, published), prune=True)
    assert made.faults == ()
    assert len(made.pruned) == 1
    assert "Channel.properties['']" not in tree.overlay.read_text()
    assert trim.stale(tree) == []


class Handler(BaseHTTPRequestHandler):
    document = b""

    def do_GET(self) -> None:
        found = json.dumps([{"sha": COMMIT}]).encode() if self.path.startswith("/repos/") else self.document
        self.send_response(200)
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Handler.document = json.dumps(with_colour()).encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def answering(status: int, content: bytes) -> Iterator[str]:
    """A server that answers every request alike."""

    class Answer(Handler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_lock_and_the_overlay_name_what_was_read(tree: Tree, address: str) -> None:
    for source, commit in ((f"{address}/o/r/main/p.json", None), (f"{address}/o/r/{COMMIT}/p.json", COMMIT)):
        run(tree, source)
        lock = trim.load_lock(tree)
        assert (lock["url"], lock["commit"]) == (source, commit)
        assert f"extends: {source}\n" in tree.overlay.read_text()
        assert trim.stale(tree) == []
    made = run(tree, None, newest=lambda lock: upstream.newest(lock, api=address, raw=address))
    assert made.source == f"{address}/o/r/{COMMIT}/p.json"
    assert made.steps[0] == ("find the newest commit", "passed")


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (403, b"{}", "answered 403"),
        (200, b"[]", "names no commit"),
        (200, b'[{"sha": "main"}]', "names the commit 'main'"),
        (None, b"", "cannot be read: "),
    ],
)
def test_without_an_answer_of_the_newest_commit_the_way_to_do_without_is_named(
    tree: Tree, status: int | None, content: bytes, said: str
) -> None:
    with answering(status or 200, content) as address:
        asked = address if status else "http://127.0.0.1:9"  # nobody listens at the port called discard
        with pytest.raises(CodegenError) as raised:
            run(tree, None, newest=lambda lock: upstream.newest(lock, api=asked))
    (fault,) = raised.value.faults
    assert fault.place == f"{asked}/repos/o/r/commits?path=p.json&per_page=1"
    assert fault.cause.startswith(f"was asked for the newest commit and {said}")
    assert "nothing changed" in fault.remedy
    assert "make update-spec UPSTREAM=openapiv3.json" in fault.remedy


def test_the_report_says_what_a_reviewer_has_to_know(tree: Tree) -> None:
    published = mini.published()
    thing = published["components"]["schemas"]["Thing"]["allOf"][1]
    thing["properties"]["state"] = thing["properties"].pop("status")
    thing["properties"]["name"]["maxLength"] = 5
    thing["properties"]["colour"] = {"type": "string", "description": "Prose that is not ours."}
    published["paths"]["/things"]["get"]["description"] = "Prose that is not theirs."
    made = run(tree, written(tree, published), install=False)
    told = update_report.markdown(made)
    assert made.step == "major"
    for line in (
        "| outcome | built and tested |",
        "SemVer step **major**",
        "- `Thing.status`: response property renamed (renamed to state)",
        "- `ThingCreate.status`: request property renamed (renamed to state)",
        "| breaking | renamed | `Thing.status` | request-property-renamed: renamed to state |",
        "| warning | narrowed | `Thing.name` | request-property-max-length-set: maxLength None → 5 |",
        "| `POST /things` | ",
        "`tests/policy/test_walk.py` fails until each is classified",
        "- 1 descriptions: `GET /things`",
        "  - **breaking** `ThingUpdate.status`: request property renamed (renamed to state)",
    ):
        assert line in told, line
    assert "Prose" not in told
    plain = update_report.as_json(made)
    assert plain["semver"] == "major"
    assert {each["level"] for each in plain["published"]} == {"breaking", "warning", "info"}
    update.save(made, tree.root.parent / "out")
    assert json.loads((tree.root.parent / "out" / "report.json").read_text()) == plain


@pytest.mark.parametrize(
    ("rule", "step"),
    [
        ("request-property-removed", "major"),
        ("response-optional-property-removed", "major"),
        ("request-property-enum-value-removed", "major"),
        ("response-property-enum-value-removed", "patch"),
        ("response-property-enum-value-added", "minor"),
        ("new-optional-request-parameter", "minor"),
        ("new-required-request-parameter", "major"),
        ("endpoint-deprecated", "minor"),
        ("request-property-description-changed", "patch"),
    ],
)
def test_the_semver_step_is_what_the_clients_callers_notice(rule: str, step: str) -> None:
    lock = {"commit": None, "sha256": "0" * 64}
    change = compare.Change(rule=rule, place="A.b", detail="member")
    assert update_report.Report(source="x", before=lock, after=lock, client=(change,)).step == step


def test_what_of_the_connector_is_touched_is_told() -> None:
    known = impact.connector()
    assert len(known["rows"]) == 45
    change = compare.Change(
        rule="response-optional-property-removed", place="Team.name", detail="member",
        endpoints=("GET /teams", "GET /teams/{id}"),
    )  # fmt: skip
    found = impact.of([change], known)
    assert found.operations == ("teams:read", "teams:read_detail")
    assert found.cassettes == ("tests/cassettes/teams.read.yaml", "tests/cassettes/teams.read_detail.yaml")
    assert found.routes == ("arx_wrapper/sandbox/routes/users_teams.py",)
    assert found.unknown == ""
    silent = compare.Change(
        rule="endpoint-description-changed", place="GET /teams", detail="", endpoints=("GET /teams",)
    )
    assert impact.of([silent], known) == impact.Impact()
    assert impact.of([change], {"unknown": "not installed"}).unknown == "not installed"


def test_the_command_exits_with_1_and_the_report_when_it_cannot_be_built(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "published.json"
    file.write_text(json.dumps(mini.published()), encoding="utf-8")
    assert __main__.main(["update", "--upstream", str(file), "--dry-run"]) == 1
    told = capsys.readouterr().out
    assert "has none of the endpoints" in told
    assert "Remedy: give the address of openapiv3.json" in told

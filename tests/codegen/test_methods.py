"""The typed methods follow from the table and the document; what does not follow is said."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from codegen import methods
from codegen.checkout_paths import TREE
from codegen.errors import CodegenError

JSON = dict[str, Any]
DOCUMENT: JSON = json.loads(TREE.trimmed.read_text("utf-8"))


def rendered(tmp_path: Path, path: str, *parameters: JSON) -> str:
    """The module, had a list of the document these parameters more."""
    document = deepcopy(DOCUMENT)
    document["paths"][path]["get"]["parameters"] += parameters
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(document), "utf-8")
    return methods.render(spec=spec)


def parameter(name: str, **schema: Any) -> JSON:
    return {"in": "query", "name": name, "required": False, "schema": schema}


def test_the_committed_methods_are_those_of_the_table_and_the_document() -> None:
    assert methods.drift() == []


def test_a_new_parameter_is_one_of_the_method_with_the_type_of_its_name_or_schema(
    tmp_path: Path,
) -> None:
    text = rendered(
        tmp_path,
        "/teams",
        parameter("owner_id", type="string"),
        parameter("kinds[]", type="array", items={"type": "string", "enum": ["a", "b"]}),
        parameter("least", type="integer"),
    )
    (signature,) = (part for part in text.split("    async def ") if part.startswith("list_teams("))
    assert "owner_id: Id | None = None" in signature
    assert 'kinds: NonEmpty[Literal["a", "b"]] | None = None' in signature
    assert "least: int | None = None" in signature
    assert signature.index("least") < signature.index("limit")  # what every list has comes last


def test_a_parameter_that_no_type_fits_names_the_row_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CodegenError) as raised:
        rendered(tmp_path, "/teams", parameter("shape"))
    (fault,) = raised.value.faults
    assert fault.place == "teams:read: shape"
    assert "list_teams() by hand" in fault.remedy


def test_a_row_without_an_endpoint_in_the_document_is_named(tmp_path: Path) -> None:
    document = deepcopy(DOCUMENT)
    del document["paths"]["/teams"]
    (tmp_path / "spec.json").write_text(json.dumps(document), "utf-8")
    with pytest.raises(CodegenError, match="has no endpoint GET /teams"):
        methods.render(spec=tmp_path / "spec.json")

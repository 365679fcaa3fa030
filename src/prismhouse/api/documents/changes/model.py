"""What a request wants changed, as the list of changes that one statement applies to a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prismhouse.api.documents.model import RESERVED_ROOT_KEYS
from prismhouse.kit.errors import FieldFault, Invalid, field_fault

__all__ = ["LINEAGE_KEYS", "Change", "merge_changes", "refuse_kept", "update_changes"]

Change = dict[str, Any]
Path = Sequence[str | int]

LINEAGE_KEYS = frozenset(
    {
        "root_object_id",
        "root_bucket_id",
        "source_type",
        "source_collection_id",
        "source_document_id",
        "source_object_id",
        "lineage_path",
        "lineage_chain",
    }
)
_VECTOR_KEYS = frozenset({"vectors", "features"})
_KEPT = RESERVED_ROOT_KEYS | LINEAGE_KEYS | _VECTOR_KEYS
_DEEPEST = 32


def merge_changes(body: Mapping[str, Any]) -> list[Change]:
    """Return the changes of a PUT or PATCH: what is sent is set; inside `metadata`, key by key, and null removes.

    Raises Invalid for names that the API keeps itself, and for `metadata` that is no object.
    """
    refuse_kept(body, ["body"])
    changes: list[Change] = []
    for name, value in body.items():
        if name != "metadata":
            changes.append(_change(name.split("."), value, ["body", name]))
            continue
        for key, held in value.items():
            path = ["metadata", key]
            changes.append({"path": path} if held is None else {"path": path, "value": held})
    return changes


def update_changes(update_data: Mapping[str, Any], location: Path) -> list[Change]:
    """Return the changes of `update_data`: a dotted key sets one nested value, another replaces the whole value.

    Raises Invalid when there is nothing to change, or for names that the API keeps itself.
    """
    if not update_data:
        raise Invalid([field_fault(location, "names nothing to change")])
    refuse_kept(update_data, location)
    return [_change(name.split("."), value, [*location, name]) for name, value in update_data.items()]


def refuse_kept(given: Mapping[str, Any], location: Path) -> None:
    """Raise Invalid for root names that a document's own fields cannot have, and for `metadata` that is no object."""
    faults = [_kept(name, location) for name in given if name.partition(".")[0] in _KEPT]
    if not isinstance(given.get("metadata", {}), Mapping):
        faults.append(field_fault([*location, "metadata"], "must be an object"))
    if faults:
        raise Invalid(faults)


def _kept(name: str, location: Path) -> FieldFault:
    first = name.partition(".")[0]
    if first in _VECTOR_KEYS:
        return field_fault([*location, name], "Vectors cannot be changed here: leave it out.", "reserved_name")
    what = "Lineage stays as it was made" if first in LINEAGE_KEYS else "The server fills this itself"
    return field_fault([*location, name], f"{what}: leave it out, or choose another name.", "reserved_name")


def _change(path: list[str], value: Any, location: Path) -> Change:
    if not all(path):
        raise Invalid([field_fault(location, "A name must not be empty, nor a part of a dotted one.")])
    if len(path) > _DEEPEST:
        raise Invalid([field_fault(location, f"A dotted name has at most {_DEEPEST} parts.")])
    return {"path": path, "value": value}

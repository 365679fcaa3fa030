"""Write the list of operations that are not built, and docs/compatibility.md, from the official client.

Run `python tests/tools/compatibility.py` from the repository's root after routes were added; tests/contract holds the
result against the application. What people write by hand in the page stays: it stands below a marker.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "src" / "prismhouse" / "server" / "unbuilt.tsv"
PAGE = ROOT / "docs" / "compatibility.md"
MARKER = "<!-- Written by hand below this line. -->"
HEAD = "# METHOD\tpath\toperation\ttag: written by tests/tools/compatibility.py, and may only shrink"
_CALL = re.compile(r"method='(\w+)',\s*resource_path='([^']+)'")
_HAND = """
## Differences in behaviour

- **Plans, credits and quotas.** There are none. `account_type` is `enterprise`, `credit_count` 0, rate limits a million
  a minute. Rate-limit headers are sent; `rate_limit_override` of a key is kept and given back but not enforced.
- **Keys.** Scopes are by namespace (`resource_type: namespace`; id, `*`, or `prefix*`). Of a scope's operations,
  `read_data`, `write_data`, `delete_data` and `manage_permissions` decide; the others follow from them. Keys of an end
  user (`principal_id`) answer 501: documents have no access lists. A key limited to namespaces cannot change users,
  keys or the organization.
- **Namespaces.** `document_count` stops at 500,000 (20,000 in lists): beyond, it is null on the record and a lower
  bound on `/stats`, with `document_count_complete: false`. Dedicated infrastructure, tiering, budgets, pins and trusted
  issuers are kept and given back; they change nothing. A deleted namespace gives its name back at once.
- **Batches.** A DRAFT stays until it is submitted or deleted (upstream cancels it after half an hour);
  `PRISMHOUSE_WORKER__DRAFT_MINUTES` brings that back. A row that fails, or a part of one (an image among several, a
  line of a file), ends a batch as COMPLETED_WITH_ERRORS and stands in `failed-documents`, parts with `partial: true`.
  An object that lost a part or misses an optional feature (`missing_feature`) is in `partial_objects`; a missing
  feature alone leaves the batch COMPLETED. A batch that wrote nothing and skipped nothing is FAILED.
- **Unresolved namespace.** Lists answer 200 with no rows, `warnings` and `X-Namespace-Unresolved`; all else 404.
- **Undeclared body keys** answer 422 naming the accepted keys, except those the official client sends itself.
- **Large bodies** answer 413 in the error envelope.
"""


@dataclass(frozen=True, order=True)
class Operation:
    """An operation as the client knows it."""

    tag: str
    path: str
    method: str
    operation_id: str

    @property
    def key(self) -> tuple[str, str]:
        """Method and path without parameter names or a last slash: what a request looks like."""
        return self.method, shape(self.path)


def shape(path: str) -> str:
    """Return the path with its parameters blanked."""
    return re.sub(r"\{[^}]*\}", "{}", path.rstrip("/"))


def client_operations() -> list[Operation]:
    """Return every operation of the client's API classes; one that stands under two tags is named once."""
    import mixpeek.api as api

    found: dict[tuple[str, str], Operation] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(api.__path__) if info.name.endswith("_api")):
        for operation in _of_module(importlib.import_module(f"mixpeek.api.{module}"), _tag(module)):
            found.setdefault(operation.key, operation)
    return sorted(found.values())


def _of_module(module: object, tag: str) -> Iterator[Operation]:
    for _, kind in inspect.getmembers(module, inspect.isclass):
        if kind.__module__ != getattr(module, "__name__", ""):
            continue
        for name, method in inspect.getmembers(kind, inspect.isfunction):
            if name.startswith("_") and name.endswith("_serialize"):
                call = _CALL.search(inspect.getsource(method))
                assert call, f"no path in {kind.__name__}.{name}"
                operation_id = name.removeprefix("_").removesuffix("_serialize")
                yield Operation(tag=tag, path=call[2], method=call[1], operation_id=operation_id)


def _tag(module: str) -> str:
    words = module.removesuffix("_api").removesuffix("_api").split("_")
    return " ".join({"api": "API", "byo": "BYO"}.get(word, word.capitalize()) for word in words)


def built_operations() -> set[tuple[str, str]]:
    """Return method and shape of every route that the joined application serves."""
    from prismhouse.server.routers import routers
    from prismhouse.server.wiring import build
    from prismhouse.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        house = build(Settings(data_dir=Path(folder)), "host=/nowhere dbname=none")
        return {
            (method, shape(route.path))  # type: ignore[attr-defined]
            for router in routers(house)
            for route in router.routes
            for method in route.methods or ()  # type: ignore[attr-defined]
        }


def table(operations: list[Operation]) -> str:
    """Return the text of the list."""
    lines = [f"{one.method}\t{one.path}\t{one.operation_id}\t{one.tag}" for one in operations]
    return "\n".join([HEAD, *lines]) + "\n"


def page(operations: list[Operation], unbuilt: list[Operation], by_hand: str) -> str:
    """Return the text of docs/compatibility.md."""
    missing = {one.key for one in unbuilt}
    tags = sorted({one.tag for one in operations})
    lines = [
        "# Compatibility",
        "",
        "Against the official Python client `mixpeek` 1.3.783 (API 0.82). Generated by `tests/tools/compatibility.py`;",
        "`tests/contract/test_compatibility.py` keeps it true.",
        "",
        f"{len(operations) - len(unbuilt)} of {len(operations)} operations are built. The others answer 501 in the",
        "error envelope, naming the operation.",
        "",
        "| Tag | Built | Not built |",
        "|---|---|---|",
    ]
    for tag in tags:
        own = [one for one in operations if one.tag == tag]
        gone = sum(one.key in missing for one in own)
        lines.append(f"| {tag} | {len(own) - gone} | {gone} |")
    for title, wanted in (("Built", False), ("Not built", True)):
        lines += ["", f"## {title}"]
        for tag in tags:
            own = [one for one in operations if one.tag == tag and (one.key in missing) is wanted]
            if own:
                lines += ["", f"### {tag}", "", *(f"- `{one.method} {one.path}` {one.operation_id}" for one in own)]
    return "\n".join(lines) + f"\n\n{MARKER}\n{by_hand}"


def main() -> int:
    """Write both files; return 1 when the list would grow, unless `--grow` says that this is meant."""
    operations, built = client_operations(), built_operations()
    unbuilt = [one for one in operations if one.key not in built]
    before = {tuple(line.split("\t")[:2]) for line in LIST.read_text().splitlines() if line and line[0] != "#"}
    grown = [f"{one.method} {one.path}" for one in unbuilt if before and (one.method, one.path) not in before]
    if grown and "--grow" not in sys.argv:
        print(json.dumps(grown, indent=1), "\nThe list may only shrink. Pass --grow if this is meant.", file=sys.stderr)
        return 1
    by_hand = PAGE.read_text().partition(MARKER)[2].lstrip("\n") if PAGE.exists() else ""
    LIST.write_text(table(unbuilt))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(operations, unbuilt, f"\n{by_hand}" if by_hand else _HAND))
    print(f"{len(operations) - len(unbuilt)} built, {len(unbuilt)} not built")
    return 0


if __name__ == "__main__":
    sys.exit(main())

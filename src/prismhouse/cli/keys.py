"""`prismhouse keys create|list|revoke`: straight to the database, so it also helps who has lost every key.

`keys rotate-signing` is about the other kind of key: those that sign URLs of files on local disk.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING

from prismhouse.cli.database import database
from prismhouse.cli.load import add_data_argument, load_settings

if TYPE_CHECKING:
    from prismhouse.api.organizations.service import Organizations

__all__ = ["add_arguments", "run"]

_Action = Callable[["Organizations", argparse.Namespace], Awaitable[None]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key and print it, once")
    create.add_argument("name", help="what the key is for")
    create.add_argument(
        "--permission",
        action="append",
        choices=["read", "write", "delete", "admin"],
        help="repeat for several (default: read, write and delete)",
    )
    create.add_argument("--namespace", action="append", metavar="ID", help="only in this namespace; repeat for several")
    create.add_argument("--expires", type=datetime.fromisoformat, metavar="TIME", help="such as 2027-01-31T12:00+00:00")
    listing = actions.add_parser("list", help="show the keys, without their secrets")
    listing.add_argument("--all", action="store_true", help="revoked ones too")
    revoke = actions.add_parser("revoke", help="make a key stop working, at once")
    revoke.add_argument("key", help="its name or id")
    rotate = actions.add_parser("rotate-signing", help="sign URLs of local files with a new key from now on")
    rotate.add_argument("--revoke", action="store_true", help="make all URLs that were signed before stop working")
    for action in (create, listing, revoke, rotate):
        add_data_argument(action)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for, on the running database or one started for it."""
    if arguments.action == "rotate-signing":
        _rotate_signing(arguments)
        return 0
    actions: dict[str, _Action] = {"create": _create, "list": _list, "revoke": _revoke}
    with database(load_settings(arguments)) as dsn:
        asyncio.run(_with_organizations(dsn, actions[arguments.action], arguments))
    return 0


async def _with_organizations(dsn: str, action: _Action, arguments: argparse.Namespace) -> None:
    from prismhouse.api.organizations.service import Organizations
    from prismhouse.storage.postgres.database import Database

    db = Database(dsn, pool_size=2)
    await db.open()
    try:
        await action(Organizations(db), arguments)
    finally:
        await db.close()


async def _create(organizations: Organizations, arguments: argparse.Namespace) -> None:
    _, key = await organizations.create_key(
        name=arguments.name,
        permissions=arguments.permission or ("read", "write", "delete"),
        namespaces=arguments.namespace or (),
        expires_at=arguments.expires,
    )
    print(key)


async def _list(organizations: Organizations, arguments: argparse.Namespace) -> None:
    rows = await organizations.list_keys(include_revoked=arguments.all)
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        permissions = ",".join(row["permissions"])
        print(f"{row['key_id']}  {row['name']:<{width}}  {row['key_prefix']}...  {row['status']:<8}  {permissions}")


async def _revoke(organizations: Organizations, arguments: argparse.Namespace) -> None:
    row = await organizations.revoke_key(arguments.key)
    print(f"Revoked {row['name']} ({row['key_id']}).")


def _rotate_signing(arguments: argparse.Namespace) -> None:
    from prismhouse.server.adapters import signing_keys

    key_id = signing_keys(load_settings(arguments)).rotate(revoke=arguments.revoke)
    told = "URLs signed before stopped working." if arguments.revoke else "URLs signed before work until they expire."
    print(f"URLs are signed with {key_id} from now on. {told}")

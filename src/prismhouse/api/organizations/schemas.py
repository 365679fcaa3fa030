"""Request and response shapes of organizations, users and keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from prismhouse.api.web.body import RequestModel

__all__ = [
    "CreateKey",
    "CreateUser",
    "KeyAnswer",
    "NewKeyAnswer",
    "ResourceScope",
    "UpdateKey",
    "UpdateOrganization",
    "UpdateUser",
]

PermissionName = Literal["read", "write", "delete", "admin"]
Email = Annotated[str, StringConstraints(min_length=3, max_length=320, pattern=r"^[^\s@\x00]+@[^\s@\x00]+$")]
Operation = Literal[
    "read_data",
    "write_data",
    "delete_data",
    "execute_retriever",
    "create_retriever",
    "delete_retriever",
    "execute_job",
    "cancel_job",
    "create_cluster",
    "delete_cluster",
    "modify_cluster",
    "modify_infrastructure",
    "manage_permissions",
]


class ResourceScope(RequestModel):
    """What a key is limited to. `resource_id` is a namespace id, `*`, or a prefix with a star: `ns_customer_*`."""

    resource_type: Literal["namespace"]
    resource_id: str = Field(min_length=1, max_length=100, pattern=r"^[^*\x00]*\*?$")
    operations: list[Operation] | None = None


class CreateKey(RequestModel):
    """Body of key creation."""

    name: str = Field(min_length=1, max_length=100)
    description: str | None = Field(None, max_length=500)
    permissions: list[PermissionName] = Field(["read", "write", "delete"], min_length=1)
    scopes: list[ResourceScope] | None = None
    rate_limit_override: int | None = Field(None, ge=1, le=2**31 - 1)
    expires_at: datetime | None = None
    principal_id: str | None = Field(None, min_length=1, max_length=256)
    allowed_origins: list[str] | None = None


class UpdateKey(RequestModel):
    """Body of a key's change: `scopes` and `allowed_origins` `[]` lift the limit, `expires_at` null clears it."""

    name: str | None = Field(None, min_length=1, max_length=100)
    description: str | None = Field(None, max_length=500)
    permissions: list[PermissionName] | None = Field(None, min_length=1)
    scopes: list[ResourceScope] | None = None
    rate_limit_override: int | None = Field(None, ge=1, le=2**31 - 1)
    expires_at: datetime | None = None
    status: Literal["active", "revoked", "expired"] | None = None
    allowed_origins: list[str] | None = None


class KeyAnswer(BaseModel):
    """A key without its secret."""

    key_id: str
    key_hash: str
    key_prefix: str | None = None
    key_type: str
    internal_id: str
    organization_id: str
    user_id: str
    name: str
    description: str
    permissions: list[str]
    scopes: list[dict[str, Any]]
    rate_limit_override: int | None = None
    status: str
    expires_at: str | None = None
    last_used_at: str | None = None
    created_at: str
    created_by: str | None = None
    revoked_at: str | None = None
    revoked_by: str | None = None
    allowed_origins: list[str] | None = None
    principal_id: str | None = None


class NewKeyAnswer(KeyAnswer):
    """A key with its secret, which is shown this once."""

    key: str


class CreateUser(RequestModel):
    """Body of user creation."""

    email: Email
    user_name: str = Field(min_length=2, max_length=100)
    avatar_url: str | None = Field(None, max_length=2000)
    role: Literal["admin", "member", "viewer"] = "member"
    status: Literal["active", "pending", "suspended"] | None = None
    metadata: dict[str, Any] | None = None


class UpdateUser(RequestModel):
    """Body of a user's change; a status other than active revokes all keys of the user for good."""

    user_name: str | None = Field(None, min_length=2, max_length=100)
    avatar_url: str | None = Field(None, max_length=2000)
    role: Literal["admin", "member", "viewer"] | None = None
    status: Literal["active", "pending", "suspended"] | None = None
    metadata: dict[str, Any] | None = None


class UpdateOrganization(RequestModel):
    """Body of the organization's change. The last five belong to the hosted service and are refused with 403."""

    organization_name: str | None = Field(None, min_length=1, max_length=200)
    logo_url: str | None = Field(None, max_length=2000)
    billing_email: Email | None = None
    notifications_email: Email | None = None
    metadata: dict[str, Any] | None = None
    rate_limit_overrides: dict[str, Any] | None = None
    default_llm_credentials: dict[str, Any] | None = None
    spend_limits: dict[str, Any] | None = None
    nsfw_check_enabled: bool | None = None
    nsfw_fail_closed: bool | None = None

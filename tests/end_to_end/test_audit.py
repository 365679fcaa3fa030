"""The audit log through the official client, against a server that runs."""

from __future__ import annotations

import json

from mixpeek import ApiClient, Configuration, OrganizationAuditApi
from mixpeek.models import AuditAction, AuditSettingsUpdateRequest


def test_the_official_client_reads_the_log_when_something_changed(server, api):
    client = ApiClient(Configuration(host=server.base_url.removesuffix("/v1"), access_token=server.api_key))
    audit = OrganizationAuditApi(client)
    bucket = api.ok("POST", "/v1/buckets", {"bucket_name": "audited", "bucket_schema": {"properties": {}}})
    name = bucket["bucket_id"]

    page = audit.list_audit_logs_organizations(resource_id=name, action=AuditAction.BUCKET_CREATED, limit=10)
    one = audit.get_audit_log_organizations(page.results[0].audit_id)
    exported = audit.export_audit_logs_organizations(resource_id=name)
    settings = audit.update_audit_settings_organizations(AuditSettingsUpdateRequest(read_auditing_enabled=None))

    assert page.total == 1
    assert one.resource_id == name
    assert one.ip_address == "127.0.0.1"
    assert [json.loads(line)["audit_id"] for line in exported.splitlines()] == [one.audit_id]
    assert settings.read_auditing_enabled is audit.get_audit_settings_organizations().read_auditing_enabled is False

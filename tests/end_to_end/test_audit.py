"""The audit log through the official client, against a server that runs."""

from __future__ import annotations

import json
import urllib.request
import uuid

from mixpeek import ApiClient, Configuration, OrganizationAuditApi
from mixpeek.models import AuditAction, AuditSettingsUpdateRequest


def _seen_from(server):
    """Return the address that the log has for a request which a proxy says it forwards."""
    headers = {"Authorization": f"Bearer {server.api_key}", "X-Forwarded-For": "203.0.113.9"}
    name = f"seen_{uuid.uuid4().hex[:8]}"
    body = json.dumps({"namespace_name": name}).encode()
    made = urllib.request.Request(f"{server.base_url}/v1/namespaces", body, headers, method="POST")
    with urllib.request.urlopen(made, timeout=30) as answer:
        namespace_id = json.load(answer)["namespace_id"]
    path = f"/v1/organizations/audit/logs?resource_id={namespace_id}"
    with urllib.request.urlopen(urllib.request.Request(server.base_url + path, headers=headers), timeout=30) as answer:
        return json.load(answer)["results"][0]["ip_address"]


def test_a_forwarded_address_is_not_believed_when_no_proxy_is_trusted(server):
    assert _seen_from(server) == "127.0.0.1"


def test_a_forwarded_address_is_believed_when_the_proxy_is_trusted(private_server):
    server = private_server(PRISMHOUSE_SERVER__TRUSTED_PROXIES='["127.0.0.0/8"]')

    assert _seen_from(server) == "203.0.113.9"


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

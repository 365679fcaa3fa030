"""What can go wrong with webhooks."""

from __future__ import annotations

from prismhouse.kit.errors import Code, WarehouseError

__all__ = ["DeliveryNotFound", "NotRedeliverable", "TooManyWebhooks", "WebhookNameTaken", "WebhookNotFound"]


class WebhookNotFound(WarehouseError):
    """No webhook {id}."""

    code = Code.NOT_FOUND
    hint = "`POST /v1/organizations/webhooks/list` lists yours."


class WebhookNameTaken(WarehouseError):
    """There is a webhook named {webhook_name} already."""

    code = Code.ALREADY_EXISTS
    hint = "Choose another name, or change that one with PUT."


class TooManyWebhooks(WarehouseError):
    """An organization may have {limit} webhooks."""

    code = Code.CONFLICT
    hint = "Delete one; a webhook takes any number of event types, and up to 5 channels."


class DeliveryNotFound(WarehouseError):
    """No delivery {id} of this webhook."""

    code = Code.NOT_FOUND
    hint = "`GET /v1/organizations/webhooks/{{id}}/deliveries` lists them; old ones are forgotten."


class NotRedeliverable(WarehouseError):
    """The delivery {id} waits for its next attempt already."""

    code = Code.CONFLICT
    hint = "Deliveries that failed or were delivered can be sent again."

"""What a user, and the nouns above, can do with annotations. The verbs with rules of their own have a file each."""

from __future__ import annotations

from prismhouse.api.annotations.service.annotations import Annotations

__all__ = ["Annotations"]

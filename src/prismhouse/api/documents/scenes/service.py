"""Cut scenes of videos, once each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from prismhouse.api.collections.service import Collections
from prismhouse.api.documents import store as documents_store
from prismhouse.api.documents.scenes import store
from prismhouse.api.documents.scenes.errors import (
    CuttingBusy,
    NotAScene,
    SceneTimedOut,
    SceneUncut,
    VideoElsewhere,
    VideoPackageMissing,
)
from prismhouse.api.documents.scenes.model import CLIP_FIELD, Scene, scene_of
from prismhouse.api.documents.service import DocumentNotFound
from prismhouse.api.objects.service import Objects
from prismhouse.api.web.caller import Scope
from prismhouse.api.web.links import Downloads
from prismhouse.engine.media.errors import MediaFault
from prismhouse.engine.media.limits import MediaLimits
from prismhouse.kit.clock import utc_now
from prismhouse.kit.ids import NamespaceId
from prismhouse.settings import MediaSettings
from prismhouse.storage.blobs.copies import LocalCopies
from prismhouse.storage.blobs.port import BlobMissing, BlobStore
from prismhouse.storage.compute.port import Compute, ComputeTimedOut
from prismhouse.storage.postgres.database import Database, NamespaceWriter

__all__ = ["Scenes"]

_CUT = "prismhouse.engine.media.cut:cut_video"
_AT_A_TIME = 2
_MOST_WAITING = 32
_CONTENT_TYPE = "video/mp4"


class Scenes:
    """Answers a scene with a link to its clip, which is cut on the first call and kept as a file of the document."""

    def __init__(
        self,
        db: Database,
        *,
        collections: Collections,
        objects: Objects,
        blobs: BlobStore,
        copies: LocalCopies,
        compute: Compute,
        downloads: Downloads,
        settings: MediaSettings,
        threads: int = 1,
    ) -> None:
        self._db = db
        self._collections = collections
        self._objects = objects
        self._blobs = blobs
        self._copies = copies
        self._compute = compute
        self._downloads = downloads
        self._settings = settings
        self._threads = threads
        self._turns = asyncio.Semaphore(_AT_A_TIME)
        self._cutting: dict[tuple[str, str, str], asyncio.Task[str]] = {}

    async def download(self, scope: Scope, collection: str, document_id: str) -> dict[str, Any]:
        """Return the link to a scene's clip, its times, and whether the clip was there before.

        Calls for a scene that is being cut wait for the one cut. A clip is cut again when the document's times or
        its video changed, or when its bytes are gone.

        Raises:
            NotAScene, VideoElsewhere, SceneUncut: there is nothing to cut, or it cannot be cut.
            SceneTimedOut, CuttingBusy: it takes too long, or too many wait.
            VideoPackageMissing: this installation has no FFmpeg.
        """
        async with self._db.read() as unit:
            tx = unit.within(scope.namespace_id)
            collection_id = await self._collections.resolve_id(tx, collection)
            found = await documents_store.find(tx, [document_id], collection_id=collection_id)
        if not found:
            raise DocumentNotFound(document_id)
        scene = scene_of(found[0])
        cached = scene.clip is not None and await self._stands(scope.namespace_id, scene.clip["checksum"])
        if scene.clip is not None and cached:
            sha256 = str(scene.clip["checksum"])
        else:
            sha256 = await self._cut_once(scope.namespace_id, scene)
        url = self._downloads.url(
            scope.namespace_id, sha256, content_type=_CONTENT_TYPE, filename=f"{document_id}-{scene.filename}"
        )
        return {"download_url": url, "cached": cached, "start_time": scene.start, "end_time": scene.end}

    async def close(self) -> None:
        """Stop what is being cut."""
        running = list(self._cutting.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _stands(self, namespace_id: NamespaceId, sha256: str) -> bool:
        try:
            async for _ in self._blobs.stream(namespace_id, sha256, start=0, end=1):
                break
        except BlobMissing:
            return False
        return True

    async def _cut_once(self, namespace_id: NamespaceId, scene: Scene) -> str:
        if find_spec("av") is None:
            raise VideoPackageMissing
        key = (namespace_id, scene.document_id, f"{scene.video_sha256}/{scene.filename}")
        task = self._cutting.get(key)
        if task is None:
            if len(self._cutting) >= _MOST_WAITING:
                raise CuttingBusy(waiting=len(self._cutting))
            task = asyncio.create_task(self._cut(namespace_id, scene))
            self._cutting[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        # A caller that goes away must not stop the cut for the others.
        return await asyncio.shield(task)

    def _forget(self, key: tuple[str, str, str], done: asyncio.Task[str]) -> None:
        self._cutting.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever still waits is told; nobody else needs to be

    async def _cut(self, namespace_id: NamespaceId, scene: Scene) -> str:
        async with self._turns:
            async with self._copies.held(namespace_id, {scene.video_sha256: scene.video_bytes}) as paths:
                if scene.video_sha256 not in paths:
                    raise BlobMissing(sha256=scene.video_sha256)
                clip = await self._run(scene, paths[scene.video_sha256])
            return await self._store(namespace_id, scene, clip)

    async def _store(self, namespace_id: NamespaceId, scene: Scene, clip: bytes) -> str:
        """Store a clip and note it with its document; where that is another scene by now, the sweep takes it."""
        async with self._db.read() as unit:
            swept = await self._objects.generation(unit.within(namespace_id))
        stored = await self._blobs.put(namespace_id, clip)
        reference = {
            "field": CLIP_FIELD,
            "role": "artifact",
            "type": "video",
            "url": None,
            "filename": scene.filename,
            "size_bytes": stored.size_bytes,
            "content_type": _CONTENT_TYPE,
            "checksum": stored.sha256,
            "created_at": utc_now(),
            "source_blob_id": scene.video_sha256,
        }
        try:
            async with self._db.write() as unit:
                tx = unit.within(namespace_id)
                if not await self._objects.keep_bytes(tx, [stored.sha256], since=swept):
                    await self._blobs.put(namespace_id, clip)
                is_kept = await self._keep(tx, scene, reference)
        except BaseException:
            await asyncio.shield(self._objects.abandon(namespace_id, [stored.sha256]))
            raise
        if not is_kept:
            await self._objects.abandon(namespace_id, [stored.sha256])
        return stored.sha256

    async def _run(self, scene: Scene, path: Any) -> bytes:
        settings = self._settings
        if scene.end - scene.start > settings.clip_seconds:
            reason = f"it is longer than {settings.clip_seconds:g} s. Raise PRISMHOUSE_MEDIA__CLIP_SECONDS."
            raise SceneUncut(id=scene.document_id, reason=reason)
        limits = MediaLimits.of(settings)
        cut = (path, scene.start, scene.end, limits, settings.clip_bytes, settings.encoder, self._threads)
        try:
            clip: bytes = await self._compute.run(_CUT, *cut, timeout_seconds=settings.cut_seconds)
        except MediaFault as fault:
            raise SceneUncut(id=scene.document_id, reason=fault.message) from fault
        except ComputeTimedOut as error:
            raise SceneTimedOut(id=scene.document_id, timeout_seconds=settings.cut_seconds) from error
        return clip

    async def _keep(self, tx: NamespaceWriter, scene: Scene, reference: Mapping[str, Any]) -> bool:
        """Note the clip with its document; return False when that is gone or another scene by now."""
        row = await store.lock(tx, scene.document_id)
        if row is None:
            return False
        try:
            now = scene_of(row)
        except (NotAScene, VideoElsewhere):
            return False
        if (now.video_sha256, now.filename) != (scene.video_sha256, scene.filename):
            return False
        await store.keep(tx, scene.document_id, [*now.others, reference])
        return True

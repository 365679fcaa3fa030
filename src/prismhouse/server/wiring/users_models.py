"""Models and extractors that users bring."""

from __future__ import annotations

from dataclasses import dataclass

from prismhouse.api.archives.service import Archives
from prismhouse.api.batches.service.parts import ExtractorSettings
from prismhouse.api.models.routes import Models
from prismhouse.api.models.service import Bringing, Deployments, Keeping, Lender
from prismhouse.api.models.service.bring import SETTING
from prismhouse.api.namespaces.service import Namespaces
from prismhouse.api.submissions.service import Submissions
from prismhouse.api.web.forms import Forms
from prismhouse.api.web.links import Downloads
from prismhouse.engine.inference.uploaded import FOLDER
from prismhouse.server import adapters
from prismhouse.server.wiring.extraction import models_dir
from prismhouse.settings import Settings
from prismhouse.storage.blobs.copies import LocalCopies
from prismhouse.storage.compute.port import Compute
from prismhouse.storage.jobs.procrastinate import ProcrastinateQueue
from prismhouse.storage.postgres.database import Database

__all__ = ["UsersModels", "users_models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsersModels:
    """Models, and code, that users bring: their files, what lends the models, what routes work with."""

    lender: Lender
    models: Models
    submissions: Submissions


def users_models(
    db: Database,
    *,
    files: adapters.Files,
    copies: LocalCopies,
    downloads: Downloads,
    compute: Compute,
    jobs: ProcrastinateQueue,
    namespaces: Namespaces,
    extraction: ExtractorSettings,
    settings: Settings,
) -> UsersModels:
    """Return them; collections are joined later (`keeping.guard`), since these need the lender."""
    archives = Archives(
        db,
        blobs=files.blobs,
        staging=files.staging,
        copies=copies,
        downloads=downloads,
        jobs=jobs,
        blob_bytes=settings.limits.blob_bytes,
        unpacked=models_dir(settings) / FOLDER,
    )
    bringing = Bringing(db, archives=archives, compute=compute, limits=settings.limits)
    lender = Lender(
        db,
        archives=archives,
        compute=compute,
        limits=bringing.unpacking,
        unpacked_at=models_dir(settings) if settings.compute.kind == "local" else None,
    )
    models = Models(
        bringing=bringing,
        keeping=Keeping(db, archives=archives),
        deployments=Deployments(
            db,
            lender=lender,
            compute=compute,
            jobs=jobs,
            threads=extraction.threads,
            cache_dir=extraction.cache_dir,
        ),
        namespaces=namespaces,
        forms=Forms(
            settings.data_dir / "copies",
            file_bytes=settings.limits.model_bytes,
            setting=SETTING,
            room_bytes=settings.limits.form_bytes,
        ),
    )
    submissions = Submissions(db, archives=archives, compute=compute, limit=settings.limits.custom_extractors)
    return UsersModels(lender=lender, models=models, submissions=submissions)

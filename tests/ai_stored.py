"""What a provider of the fault double keeps and lists: models, files, batches; and its endpoints that generate no text."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import ai_answers

if TYPE_CHECKING:
    from ai_double import FaultDouble, Seen

BATCHED = {
    "/v1/chat/completions": ai_answers.chat,
    "/v1/completions": ai_answers.completion,
    "/v1/responses": ai_answers.responses,
}


def answered(double: FaultDouble, seen: Seen, path: str) -> dict[str, Any] | bytes | None:  # noqa: PLR0911 - one line an endpoint
    """The answer of every endpoint that is not about one generated text; None where there is none."""
    match seen.method, *path.strip("/").split("/")[1:]:
        case "GET", "models":
            listed = ai_answers.anthropic_models if seen.protocol == "anthropic" else ai_answers.openai_models
            return listed(double.models)
        case "GET", "models", name if name in double.models:
            one = ai_answers.anthropic_model if seen.protocol == "anthropic" else ai_answers.openai_model
            return one(name)
        case "POST", "embeddings":
            return ai_answers.embeddings(seen.body)
        case "POST", "messages", "count_tokens":
            return {"input_tokens": ai_answers.tokens_of(seen.body)}
        case "POST", "moderations":
            return {"id": ai_answers.new_id("modr-"), "model": "omni-moderation", "results": [moderation()]}
        case "POST", "images", "generations":
            return {"created": int(time.time()), "data": [{"b64_json": "aW1hZ2U="}]}
        case "POST", "audio", "transcriptions":
            return {"text": f"{len(seen.raw)} bytes"}
        case method, ("files" | "batches") as kind, *where:
            return openai_stored(double, seen, method, kind, where)
        case method, "messages", "batches", *where:
            return anthropic_batches(double, seen, method, where)
    return None


def moderation() -> dict[str, Any]:
    names = ("harassment", "hate", "violence")
    return {
        "flagged": False,
        "categories": dict.fromkeys(names, False),
        "category_scores": dict.fromkeys(names, 0.01),
        "category_applied_input_types": {name: ["text"] for name in names},
    }


def openai_stored(  # noqa: PLR0911 - as above
    double: FaultDouble, seen: Seen, method: str, kind: str, where: list[str]
) -> dict[str, Any] | bytes | None:
    """Files and batches. A batch is done when it is made."""
    stored = double.stored
    match method, kind, *where:
        case "POST", "files":
            return new_file(stored, multipart_file(seen.raw), "batch")
        case "POST", "batches":
            return new_openai_batch(stored, seen.body)
        case "GET", _:
            prefix = {"files": "file-", "batches": "batch_"}[kind]
            return {
                "object": "list",
                "data": [one for name, one in stored.items() if name.startswith(prefix)],
                "has_more": False,
            }
        case "GET", "files", name, "content":
            return stored.get(f"content of {name}")
        case "GET", _, name:
            return stored.get(name)
        case "POST", "batches", name, "cancel" if name in stored:
            return {**stored[name], "status": "cancelled"}
        case "DELETE", "files", name if name in stored:
            stored.pop(name)
            return {"id": name, "object": "file", "deleted": True}
    return None


def multipart_file(raw: bytes) -> bytes:
    """The content of the part named `file`."""
    mark = raw.split(b"\r\n", 1)[0]
    for part in raw.split(mark):
        top, _, content = part.partition(b"\r\n\r\n")
        if b'name="file"' in top:
            return content.removesuffix(b"\r\n")
    return b""


def new_file(stored: dict[str, Any], content: bytes, purpose: str) -> dict[str, Any]:
    name = ai_answers.new_id("file-")
    stored[f"content of {name}"] = content
    stored[name] = {
        "id": name, "object": "file", "bytes": len(content), "created_at": int(time.time()), "filename": "batch.jsonl", "purpose": purpose,
        "status": "processed",
    }  # fmt: skip
    return stored[name]


def new_openai_batch(stored: dict[str, Any], body: dict[str, Any]) -> dict[str, Any] | None:
    if (content := stored.get(f"content of {body.get('input_file_id')}")) is None:
        return None
    requests = [json.loads(line) for line in content.splitlines() if line.strip()]
    lines = []
    for one in requests:
        answer = BATCHED[one["url"]](ai_answers.reply_to("openai", one["body"]), one["body"])
        response = {"status_code": 200, "request_id": ai_answers.new_id("req_"), "body": answer}
        lines.append(
            {
                "id": ai_answers.new_id("batch_req_"),
                "custom_id": one["custom_id"],
                "response": response,
                "error": None,
            }
        )
    output = new_file(stored, "\n".join(map(json.dumps, lines)).encode(), "batch_output")
    name, now = ai_answers.new_id("batch_"), int(time.time())
    stored[name] = {
        "id": name, "object": "batch", "endpoint": body.get("endpoint"), "errors": None, "input_file_id": body["input_file_id"],
        "completion_window": body.get("completion_window", "24h"), "status": "completed", "output_file_id": output["id"],
        "error_file_id": None, "created_at": now, "completed_at": now, "metadata": body.get("metadata"),
        "request_counts": {"total": len(lines), "completed": len(lines), "failed": 0},
    }  # fmt: skip
    return stored[name]


def anthropic_batches(  # noqa: PLR0911 - as above
    double: FaultDouble, seen: Seen, method: str, where: list[str]
) -> dict[str, Any] | bytes | None:
    """Message batches. One is done when it is made; its results are at an address of this provider's own, as Anthropic says it."""
    stored = double.stored
    match method, *where:
        case ("POST",):
            return new_anthropic_batch(double, seen.body)
        case ("GET",):
            data = [one for name, one in stored.items() if name.startswith("msgbatch_")]
            return {"data": data, "has_more": False, "first_id": None, "last_id": None}
        case "GET", name:
            return stored.get(name)
        case "GET", name, "results":
            return stored.get(f"results of {name}")
        case "POST", name, "cancel" if name in stored:
            return {**stored[name], "processing_status": "canceling"}
        case "DELETE", name if name in stored:
            stored.pop(name)
            return {"id": name, "type": "message_batch_deleted"}
    return None


def new_anthropic_batch(double: FaultDouble, body: dict[str, Any]) -> dict[str, Any]:
    name, lines = ai_answers.new_id("msgbatch_"), []
    for one in body.get("requests", ()):
        message = ai_answers.messages(ai_answers.reply_to("anthropic", one["params"]), one["params"])
        lines.append({"custom_id": one["custom_id"], "result": {"type": "succeeded", "message": message}})
    double.stored[f"results of {name}"] = "\n".join(map(json.dumps, lines)).encode()
    now = "2026-01-01T00:00:00Z"
    double.stored[name] = {
        "id": name, "type": "message_batch", "processing_status": "ended", "created_at": now, "expires_at": now, "ended_at": now,
        "archived_at": None, "cancel_initiated_at": None, "results_url": f"{double.anthropic_url}/v1/messages/batches/{name}/results",
        "request_counts": {"processing": 0, "succeeded": len(lines), "errored": 0, "canceled": 0, "expired": 0},
    }  # fmt: skip
    return double.stored[name]

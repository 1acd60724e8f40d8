"""Flags and variables that are not the user's to set, of whatever build the engine is.

The operator sets them, or a field of the spec does; they choose a model; or they let clients reach beyond it. The CRD
has the same patterns and messages, so the API server refuses them first (a test holds the two together). Here they
are looked at again for objects that are older than a rule.
"""

from __future__ import annotations

import re

FLAGS = {
    r"^(-c|--ctx[-_]size|-np|--parallel|-t|--threads)$": (
        "--ctx-size, --parallel, --threads are set by engine.contextSize, engine.slots, engine.threads"
    ),
    r"^(-b|--batch[-_]size|-ub|--ubatch[-_]size|-ctk|--cache[-_]type[-_]k|-ctv|--cache[-_]type[-_]v|-fa|--flash[-_]attn|-cram|--cache[-_]ram|-ctxcp|--(ctx|swa)[-_]checkpoints)$": (  # noqa: E501
        "--batch-size, --ubatch-size, --cache-type-k, --cache-type-v, --flash-attn, --cache-ram, --ctx-checkpoints are "
        "set by engine.batch, engine.kvCache, engine.flashAttention, engine.promptCache, engine.contextCheckpoints"
    ),
    r"^(-ngl|--gpu[-_]layers|--n[-_]gpu[-_]layers|-sm|--split[-_]mode|-ts|--tensor[-_]split|-mg|--main[-_]gpu)$": (
        "--gpu-layers, --split-mode, --tensor-split, --main-gpu are set by engine.gpuLayers, engine.split"
    ),
    r"^(--embeddings?|--rerank(ing)?|-rea|--reasoning|--reasoning[-_](format|budget)|--chat[-_]template|--sleep[-_]idle[-_]seconds|--(no[-_])?(web)?ui)$": (  # noqa: E501
        "--embeddings, --reranking, --reasoning, --reasoning-format, --reasoning-budget, --chat-template, "
        "--sleep-idle-seconds, --ui are set by engine.mode, engine.reasoning, engine.chatTemplate, engine.idleSleep, "
        "engine.webUI"
    ),
    r"^--spec[-_]draft[-_]n[-_](max|min)$": (
        "--spec-draft-n-max, --spec-draft-n-min are set by draft.maxTokens, draft.minTokens"
    ),
    r"^(-m|--model|-mu|--model[-_]url|-dr|--docker[-_]repo|-hf|-hfr|--hf[-_]repo|-hff|--hf[-_]file|--models[-_].*|--no[-_]models[-_]autoload|--(embd|fim|gpt|vision)[-_].*[-_](default|spec))$": (  # noqa: E501
        "the model is chosen by spec.source, not by engine.args"
    ),
    r"^(-mm|--mmproj|-mmu|--mmproj[-_]url|--lora|--lora[-_]scaled|-md|--model[-_]draft|--spec[-_]draft[-_]model|-hfd|-hfrd|--hf[-_]repo[-_]draft|--spec[-_]draft[-_]hf)$": (  # noqa: E501
        "projector, adapters and draft are chosen by their fields of spec, not by engine.args"
    ),
    r"^(--host|--port|--reuse[-_]port|--api[-_]prefix|-a|--alias|--path|--ssl[-_].*)$": (
        "--host, --port, --api-prefix, --alias, --path, --ssl-* are set by the operator"
    ),
    r"^(--tools|--tools[-_].*|-ag|-no-ag|--(no[-_])?agent|--mcp[-_].*|--(no[-_])?(web)?ui[-_]mcp[-_].*|--rpc)$": (
        "--tools, --agent, --mcp-*, --ui-mcp-*, --rpc would let clients reach beyond the model; they are refused"
    ),
    r"^(--api[-_]key([-_]file)?|-hft|--hf[-_]token)$": (
        "secrets do not belong in engine.args; API keys are given by spec.auth"
    ),
}

VARIABLES = {
    (
        r"^LLAMA_ARG_(MODEL|MODEL_URL|MODEL_DRAFT|SPEC_DRAFT_MODEL|SPEC_DRAFT_HF_REPO|HFD_REPO|MMPROJ|MMPROJ_URL|DOCKER_REPO"
        r"|HF_REPO|HF_FILE|MODELS_.*|NO_MODELS_AUTOLOAD|HOST|PORT|REUSE_PORT|API_PREFIX|ALIAS|STATIC_PATH|SSL_.*|CTX_SIZE"
        r"|N_PARALLEL|THREADS|TOOLS|TOOLS_.*|(NO_)?AGENT|MCP_.*|(NO_)?(WEB)?UI_MCP_.*|RPC"
        r"|BATCH|UBATCH|CACHE_TYPE_[KV]|FLASH_ATTN|CACHE_RAM|CTX_CHECKPOINTS|N_GPU_LAYERS|SPLIT_MODE|TENSOR_SPLIT"
        r"|MAIN_GPU|EMBEDDINGS|RERANKING|REASONING|THINK|THINK_BUDGET|CHAT_TEMPLATE|(NO_)?(WEB)?UI|SPEC_DRAFT_N_(MAX|MIN))$"
        r"|^(AIP|LLAMA_SERVER)_.*"
    ): "this variable would override what the operator sets, or open the server; use the fields of spec",
    r"^LLAMA(_ARG)?_API_KEY(_FILE)?$": "API keys are given by spec.auth, so that they can be changed without an outage",
}

_COMPILED = {re.compile(pattern): message for pattern, message in FLAGS.items()}
_COMPILED_NAMES = {re.compile(pattern): message for pattern, message in VARIABLES.items()}


def flag(word: str) -> str | None:
    """Why the user may not give this word as an argument; None if nothing is known against it."""
    return _of(_COMPILED, word)


def variable(name: str) -> str | None:
    """The same for a variable of the environment."""
    return _of(_COMPILED_NAMES, name)


def _of(messages: dict[re.Pattern[str], str], word: str) -> str | None:
    return next((message for pattern, message in messages.items() if pattern.search(word)), None)

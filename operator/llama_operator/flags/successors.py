"""Flags and variables of older builds of llama-server that are gone, and what is used instead.

From the lists of flags that llama.cpp's own documentation had (tools/server/README.md, before that
examples/server/README.md) in 2024, 2025 and early 2026, compared with the table of the build that is shipped. What
`--help` itself says of a removed flag is in the table.
"""

from __future__ import annotations

FLAGS = {
    **dict.fromkeys(("--draft", "--draft-n", "--draft-max"), "spec.draft.maxTokens"),
    **dict.fromkeys(("--draft-min", "--draft-n-min"), "spec.draft.minTokens"),
    "--mlock": "--load-mode mlock",
    "--mmap": "--load-mode mmap",
    "--no-mmap": "--load-mode none",
    **dict.fromkeys(("-dio", "--direct-io"), "--load-mode dio"),
    **dict.fromkeys(("-ndio", "--no-direct-io"), "--load-mode auto"),
    **dict.fromkeys(("-ps", "--p-split"), "--spec-draft-p-split"),
    **dict.fromkeys(("-cpent", "--checkpoint-every-n-tokens"), "--checkpoint-min-step"),
    "--log-format": "--log-jsonl",
    **dict.fromkeys(("-ld", "--logdir"), "--log-file"),
    **dict.fromkeys(("-cd", "--ctx-size-draft"), "engine.contextSize, which the draft model has as well"),
    "--system-prompt-file": "the system message of each request",
}
"""By the flag's name, with `-` for `_`."""

GONE = frozenset(
    {
        *("--license", "--verbose-prompt", "-dkvc", "--dump-kv-cache", "--all-logits", "--image", "--lora-base"),
        *("--penalize-nl", "--no-penalize-nl", "--tfs", "--cfg-negative-prompt", "--cfg-negative-prompt-file"),
        *("--cfg-scale", "-gan", "--grp-attn-n", "-gaw", "--grp-attn-w", "--log-enable", "--log-new", "--log-append"),
        *("--log-test", "-hfv", "-hfrv", "--hf-repo-v", "-hffv", "--hf-file-v", "-mv", "--model-vocoder"),
    }
)
"""Flags that nothing has replaced."""

VARIABLES = {
    **dict.fromkeys(
        ("LLAMA_ARG_MLOCK", "LLAMA_ARG_MMAP", "LLAMA_ARG_NO_MMAP", "LLAMA_ARG_DIO", "LLAMA_ARG_NO_DIO"),
        "LLAMA_ARG_LOAD_MODE",
    ),
    "LLAMA_ARG_DRAFT_MAX": "spec.draft.maxTokens",
    "LLAMA_ARG_DRAFT_MIN": "spec.draft.minTokens",
    "LLAMA_ARG_WEBUI_CONFIG": "LLAMA_ARG_UI_CONFIG",
    "LLAMA_ARG_WEBUI_CONFIG_FILE": "LLAMA_ARG_UI_CONFIG_FILE",
    "LLAMA_ARG_KV_SPLIT": "LLAMA_ARG_KV_UNIFIED",
    "LLAMA_ARG_SWA_CHECKPOINTS": "LLAMA_ARG_CTX_CHECKPOINTS",
    "LLAMA_ARG_CHECKPOINT_EVERY_NT": "LLAMA_ARG_CHECKPOINT_MIN_SPACING_NT",
    "LLAMA_ARG_CACHE_TYPE_K_DRAFT": "LLAMA_ARG_SPEC_DRAFT_CACHE_TYPE_K",
    "LLAMA_ARG_CACHE_TYPE_V_DRAFT": "LLAMA_ARG_SPEC_DRAFT_CACHE_TYPE_V",
    "LLAMA_CHAT_TEMPLATE_KWARGS": "LLAMA_ARG_CHAT_TEMPLATE_KWARGS",
    "LLAMA_LOG_COLORS": "LLAMA_ARG_LOG_COLORS",
    "LLAMA_LOG_FILE": "LLAMA_ARG_LOG_FILE",
    "LLAMA_LOG_PREFIX": "LLAMA_ARG_LOG_PREFIX",
    "LLAMA_LOG_TIMESTAMPS": "LLAMA_ARG_LOG_TIMESTAMPS",
    "LLAMA_LOG_VERBOSITY": "LLAMA_ARG_LOG_VERBOSITY",
    "LLAMA_OFFLINE": "LLAMA_ARG_OFFLINE",
}
"""By the variable's name. llama-server ignores variables that it does not know, so nobody else would tell."""

"""How a table is made from what `--help` writes."""

from __future__ import annotations

import json

import pytest

from hack.flags import read_help

HELP = """\
load_backend: loaded CPU backend from /app/libggml-cpu-x64.so
----- common params -----

-h,    --help, --usage                  print usage and exit
--prio N                                set process/thread priority : low(-1), normal(0), medium(1), high(2),
                                        realtime(3) (default: 0)
-fa,   --flash-attn [on|off|auto]       set Flash Attention use ('on', 'off', or 'auto', default: 'auto')
                                        (env: LLAMA_ARG_FLASH_ATTN)
-ctk,  --cache-type-k TYPE              KV cache data type for K
                                        allowed values: f32, f16,
                                        q8_0
                                        (default: f16)
-kvo,  --kv-offload, -nkvo, --no-kv-offload
                                        whether to enable KV cache offloading (default: enabled)
-ot,   --override-tensor <tensor name pattern>=<buffer type>,...
                                        override tensor buffer type
--control-vector-layer-range START END
                                        layer range
--chat-template-file JINJA_TEMPLATE_FILE
                                        list of built-in templates:
                                        a, b


----- speculative params -----

--draft, --draft-n, --draft-max N       the argument has been removed. use --spec-draft-n-max or
                                        --spec-ngram-mod-n-max
                                        (env: LLAMA_ARG_DRAFT_MAX)
"""


def test_every_kind_of_entry() -> None:
    template = ["--chat-template-file"]
    assert list(read_help.flags(HELP)) == [
        {"names": ["-h", "--help", "--usage"]},
        {"names": ["--prio"], "values": 1, "hint": "N"},
        {
            "names": ["-fa", "--flash-attn"],
            "values": 1,
            "hint": "[on|off|auto]",
            "env": "LLAMA_ARG_FLASH_ATTN",
            "choices": ["on", "off", "auto"],
        },
        {"names": ["-ctk", "--cache-type-k"], "values": 1, "hint": "TYPE", "choices": ["f32", "f16", "q8_0"]},
        {"names": ["-kvo", "--kv-offload", "-nkvo", "--no-kv-offload"]},
        {"names": ["-ot", "--override-tensor"], "values": 1, "hint": "<tensor name pattern>=<buffer type>,..."},
        {"names": ["--control-vector-layer-range"], "values": 2, "hint": "START END"},
        {"names": template, "values": 1, "hint": "JINJA_TEMPLATE_FILE"},
        {
            "names": ["--draft", "--draft-n", "--draft-max"],
            "values": 1,
            "hint": "N",
            "env": "LLAMA_ARG_DRAFT_MAX",
            "removed": "use --spec-draft-n-max or --spec-ngram-mod-n-max",
        },
    ]


def test_what_is_written_is_json_with_a_line_for_each_flag() -> None:
    text = read_help.written("b1", list(read_help.flags(HELP)))
    assert json.loads(text)["build"] == "b1"
    assert text.count("\n") == len(json.loads(text)["flags"]) + 2


def test_text_of_another_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="not understood: '-a, and b'"):
        list(read_help.flags("-a, and b\n"))

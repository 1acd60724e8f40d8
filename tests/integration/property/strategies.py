"""Random sequences: few names, all of them nasty, and steps that meet each other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.integration.engine.proxy import Fault, Sight
from tests.integration.property import steps
from tests.integration.property.cluster import CHILDREN
from tests.integration.property.edits import EDITS
from tests.integration.property.steps import Sequence, Step

Object = dict[str, Any]

NAMES = ("a", "a-model", "a-model-model", "b" * 63, "c" + "-" * 61 + "c")
"""The volume of `a` is `a-model`, the Service of `a-model` is `a-model`; two are as long as a name may be."""

PLURALS = (
    *("", "llamamodels", "deployments", "services", "ingresses", "persistentvolumeclaims", "pods", "jobs"),
    *("networkpolicies", "poddisruptionbudgets"),
)

_texts = st.dictionaries(st.sampled_from(["one", "x.example.com/two"]), st.sampled_from(["", "1", "$(A)"]), max_size=2)
_sources = st.sampled_from(
    [
        {"url": {"url": "http://files/m.gguf"}},
        {"url": {"url": "http://files/n.gguf?a=$(A)&b=1", "sha256": "0" * 64}},
        {"huggingFace": {"repo": "org/m", "file": "m.gguf"}},
        {"huggingFace": {"repo": "org/m", "file": "m.gguf", "tokenSecretRef": {"name": "hub", "key": "token"}}},
        {"volume": {"claimName": "theirs", "path": "m.gguf"}},
    ]
)
_variables = st.sampled_from(
    [
        [{"name": "A", "value": ""}],
        [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}],
        [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
        [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}}],
    ]
)
_engines = st.fixed_dictionaries(
    {},
    optional={
        "contextSize": st.sampled_from([4096, 8192]),
        "args": st.sampled_from([["--verbose"], ["--temp", "0"], ["--check-tensors"], ["--tags", "$(A) $$"]]),
        "kvCache": st.sampled_from([{}, {"keys": "q8_0"}]),
        "webUI": st.booleans(),
        "env": _variables,
    },
)
_resources = st.sampled_from(
    [
        {"limits": {"cpu": "1000m", "memory": "1Gi"}},
        {"limits": {"cpu": 1, "memory": "1073741824"}},
        {"limits": {"cpu": "1.5"}, "requests": {"cpu": "0.5", "memory": "0.5Gi"}},
        {"requests": {"ephemeral-storage": "1e3"}},
    ]
)
_services = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]),
        "port": st.sampled_from([80, 8000]),
        "annotations": _texts,
    },
)
_ingresses = st.fixed_dictionaries(
    {"host": st.sampled_from(["m.example.com", "n.example.com"])},
    optional={
        "className": st.just("nginx"),
        "path": st.sampled_from(["/", "/m/n"]),
        "tls": st.just({"secretName": "tls"}),
        "annotations": _texts,
    },
)
_auths = st.sampled_from([{"none": True}, {"generate": True}, {"apiKeySecretRef": {"name": "keys", "key": "a"}}])
_policies = st.sampled_from(
    [{"enabled": False}, {"from": [{"podSelector": {}}]}, {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]
)
_pods = st.fixed_dictionaries(
    {},
    optional={
        "labels": _texts.map(lambda texts: {name: value.strip("$()") for name, value in texts.items()}),
        "annotations": _texts,
        "nodeSelector": st.sampled_from([{}, {"disk": "ssd"}]),
        "tolerations": st.sampled_from([[], [{"operator": "Exists"}], [{"key": "gpu", "effect": "NoSchedule"}]]),
        "imagePullSecrets": st.just([{"name": "registry"}]),
        "topologySpreadConstraints": st.just(
            [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"llama-operator.dev/model": "a"}},
                }
            ]
        ),
    },
)
_specs: st.SearchStrategy[Object] = st.fixed_dictionaries(
    {"source": _sources},
    optional={
        # The size never changes: without a storage class that allows it, growing is refused.
        "storage": st.sampled_from(
            [{"claim": {"size": "1Gi"}}, {"claim": {"size": "1024Mi", "accessModes": ["ReadWriteMany"]}}]
        ),
        "accelerator": st.sampled_from([{"type": "cpu"}, {"type": "cuda"}, {"type": "cuda", "count": 2}]),
        "engine": _engines,
        "image": st.just("server:2"),
        "replicas": st.integers(0, 3),
        "resources": _resources,
        "service": _services,
        "ingress": _ingresses,
        "auth": _auths,
        "networkPolicy": _policies,
        "pod": _pods,
    },
)


def _accepted(spec: Object) -> Object:
    """Below another path than / there can be no key."""
    return spec if spec.get("ingress", {}).get("path", "/") == "/" else spec | {"auth": {"none": True}}


specs = _specs.filter(lambda spec: not ("storage" in spec and "volume" in spec["source"])).map(_accepted)


def _on_models(names: st.SearchStrategy[str]) -> list[st.SearchStrategy[Step]]:
    kinds = st.sampled_from(CHILDREN)
    edits = [(kind, edit) for kind in CHILDREN for edit in EDITS[kind]]
    return [
        st.builds(steps.Apply, names, specs),
        st.builds(steps.Apply, names, specs),
        st.builds(steps.Delete, names, st.sampled_from(["Background", "Foreground"])),
        st.builds(steps.Recreate, names, specs),
        st.builds(steps.Scale, names, st.integers(0, 3)),
        st.builds(steps.Autoscale, names, st.integers(1, 4)),
        st.builds(steps.Forge, names) | st.builds(steps.Decorate, names),
        st.builds(steps.DeleteChild, names, kinds),
        st.builds(lambda name, edit: steps.EditChild(name, *edit), names, st.sampled_from(edits)),
        st.builds(lambda name, edit: steps.EditChild(name, *edit), names, st.sampled_from(edits)),
        st.builds(lambda name, edit: steps.EditChild(name, *edit), names, st.sampled_from(edits)),
        st.builds(steps.Occupy, names, kinds),
    ]


def _on_machines() -> list[st.SearchStrategy[Step]]:
    plurals, kill = st.sampled_from(PLURALS), st.booleans()
    return [
        st.builds(steps.Restart, kill),
        st.builds(steps.Down, kill),
        st.builds(steps.Up) | st.builds(steps.Thaw) | st.builds(steps.See),
        st.builds(steps.Freeze),
        st.builds(steps.KillAtWrite, st.integers(1, 8)),
        st.builds(steps.Watches, st.sampled_from(Sight), plurals),
        st.builds(steps.Cut, plurals) | st.builds(steps.Blind, st.booleans()),
        st.builds(steps.Fail, st.sampled_from(Fault), st.integers(1, 3), st.booleans()),
        st.builds(steps.RestartAPIServer, st.booleans()),
        st.builds(steps.Let, st.integers(1, 8)),
        st.builds(steps.Let, st.integers(1, 8)),
        st.builds(steps.Rest),
        st.builds(steps.Rest),
    ]


@st.composite
def sequences(draw: st.DrawFn) -> Sequence:
    """One to three models, then episodes: something is wrong, somebody does something, something is better or worse."""
    chosen = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    first: list[Step] = [steps.Apply(name, draw(specs)) for name in chosen]
    if draw(st.booleans()):
        first.append(steps.Rest())
    on_models, on_machines = st.one_of(_on_models(st.sampled_from(chosen))), st.one_of(_on_machines())
    before, hands, after = (
        st.lists(on_machines, max_size=1),
        st.lists(on_models, min_size=1, max_size=2),
        st.lists(on_machines, max_size=1),
    )
    episodes = draw(st.lists(st.tuples(before, hands, after), min_size=2, max_size=5))
    more = [step for episode in episodes for part in episode for step in part]
    return Sequence([*first, *more], draw(st.sampled_from([1.5, 600.0])))

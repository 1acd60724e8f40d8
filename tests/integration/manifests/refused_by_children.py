"""Specs that the CRD lets through, and that Kubernetes refuses in one of the children.

Kubernetes' own rules are not repeated in the CRD where they are long or change with its version; the operator passes on
what the API server says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BadSpec:
    """`part` of the spec makes the API server refuse the child of this kind; its message has the words `field`."""

    name: str
    part: dict[str, Any]
    kind: str
    field: str


_POD = "spec.template.spec"
_LONG_KEY = {"a" * 254 + "/b": "c"}  # a prefix has 253 characters at most


def _node(**condition: Any) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", **condition}]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def _node_field(**condition: Any) -> dict[str, Any]:
    preference = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"], **condition}]}
    preferred = [{"weight": 1, "preference": preference}]
    return {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}


def _beside(**term: Any) -> dict[str, Any]:
    required = [{"topologyKey": "zone", **term}]
    return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def _apart(**term: Any) -> dict[str, Any]:
    preferred = [{"weight": 1, "podAffinityTerm": {"topologyKey": "zone", **term}}]
    return {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}


def _spread(**fields: Any) -> dict[str, Any]:
    return {
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", **fields}
        ]
    }


_NODES = f"{_POD}.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
_FIELDS = f"{_POD}.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchFields[0]"
_BESIDE = f"{_POD}.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"
_APART = f"{_POD}.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm"
_SPREAD = f"{_POD}.topologySpreadConstraints[0]"

_PODS = [
    ("node-selector-blank", {"nodeSelector": {"disk": "a b"}}, f"{_POD}.nodeSelector"),
    ("node-selector-newline", {"nodeSelector": {"disk": "a\nb"}}, f"{_POD}.nodeSelector"),
    ("node-selector-nul", {"nodeSelector": {"disk": "a\0b"}}, f"{_POD}.nodeSelector"),
    ("node-selector-look-alike", {"nodeSelector": {"disk": "\u0430"}}, f"{_POD}.nodeSelector"),
    ("node-selector-control", {"nodeSelector": {"disk": "a\x9bb"}}, f"{_POD}.nodeSelector"),
    ("node-selector-variable", {"nodeSelector": {"disk": "$(HOME)"}}, f"{_POD}.nodeSelector"),
    ("node-selector-key", {"nodeSelector": _LONG_KEY}, f"{_POD}.nodeSelector"),
    ("label-key", {"labels": _LONG_KEY}, "spec.template.labels"),
    ("annotation-key", {"annotations": _LONG_KEY}, "spec.template.annotations"),
    ("node-without-values", _node(operator="In"), f"{_NODES}.matchExpressions[0].values"),
    ("node-with-values", _node(operator="Exists", values=["a"]), f"{_NODES}.matchExpressions[0].values"),
    ("node-two-numbers", _node(operator="Gt", values=["1", "2"]), f"{_NODES}.matchExpressions[0].values"),
    ("node-key", _node(key="a b", operator="Exists"), f"{_NODES}.matchExpressions[0].key"),
    ("node-value", _node(operator="In", values=["a b"]), f"{_NODES}.matchExpressions[0].values[0]"),
    ("node-field", _node_field(key="metadata.uid"), f"{_FIELDS}.key"),
    ("node-field-operator", _node_field(operator="Exists"), f"{_FIELDS}.operator"),
    ("node-field-value", _node_field(values=["A_b"]), f"{_FIELDS}.values[0]"),
    ("beside-label", _beside(labelSelector={"matchLabels": {"a": "b c"}}), f"{_BESIDE}.labelSelector.matchLabels"),
    ("beside-label-key", _beside(labelSelector={"matchLabels": {"a b": "c"}}), f"{_BESIDE}.labelSelector.matchLabels"),
    (
        "beside-without-values",
        _beside(labelSelector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
        f"{_BESIDE}.labelSelector.matchExpressions[0].values",
    ),
    ("beside-namespace", _beside(namespaces=["A_b"]), f"{_BESIDE}.namespace"),
    (
        "beside-namespaces",
        _beside(namespaceSelector={"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}),
        f"{_BESIDE}.namespaceSelector.matchExpressions[0].values",
    ),
    ("beside-no-selector", _beside(matchLabelKeys=["a"]), f"{_BESIDE}.matchLabelKeys"),
    (
        "apart-match-and-not",
        _apart(labelSelector={}, matchLabelKeys=["a"], mismatchLabelKeys=["a"]),
        f"{_APART}.matchLabelKeys[0]",
    ),
    ("apart-label-keys", _apart(labelSelector={}, mismatchLabelKeys=["a b"]), f"{_APART}.mismatchLabelKeys[0]"),
    ("spread-places", _spread(whenUnsatisfiable="ScheduleAnyway", minDomains=2), f"{_SPREAD}.minDomains"),
    ("spread-label", _spread(labelSelector={"matchLabels": {"a": "-"}}), f"{_SPREAD}.labelSelector.matchLabels"),
    ("spread-no-selector", _spread(matchLabelKeys=["a"]), f"{_SPREAD}.matchLabelKeys"),
    ("spread-label-keys", _spread(labelSelector={}, matchLabelKeys=["a b"]), f"{_SPREAD}.matchLabelKeys[0]"),
]

_RESOURCES = f"{_POD}.containers[0].resources"
_COMPUTING = [
    ("fraction-of-a-device", {"limits": {"foo.com/a": "1500m"}}, f"{_RESOURCES}.limits[foo.com/a]"),
    ("device-request-alone", {"requests": {"foo.com/a": 1}}, f"{_RESOURCES}.limits"),
    ("device-request-less", {"limits": {"foo.com/a": 2}, "requests": {"foo.com/a": 1}}, f"{_RESOURCES}.requests"),
    ("device-name", {"limits": {"requests.foo.com/a": 1}}, f"{_RESOURCES}.limits[requests.foo.com/a]"),
    ("device-blank", {"limits": {"foo.com/a b": 1}}, f"{_RESOURCES}.limits[foo.com/a b]"),
    ("device-parents", {"limits": {"../../a": 1}}, f"{_RESOURCES}.limits[../../a]"),
    ("huge-pages-alone", {"limits": {"hugepages-2Mi": "2Mi"}}, _RESOURCES),
    ("huge-pages-part", {"limits": {"cpu": 1, "hugepages-2Mi": "1Mi"}}, f"{_RESOURCES}.limits[hugepages-2Mi]"),
    ("huge-pages-no-size", {"limits": {"cpu": 1, "hugepages-x": "1Mi"}}, f"{_RESOURCES}.limits[hugepages-x]"),
]

CASES = [
    *(BadSpec(name, {"pod": pod}, "Deployment", field) for name, pod, field in _PODS),
    *(BadSpec(name, {"resources": resources}, "Deployment", field) for name, resources, field in _COMPUTING),
    BadSpec(
        "accelerator-name",
        {"accelerator": {"type": "cuda", "resourceName": "requests.foo.com/a"}},
        "Deployment",
        f"{_RESOURCES}.limits[requests.foo.com/a]",
    ),
    BadSpec(
        "accelerator-request",
        {"accelerator": {"type": "cuda", "count": 2}, "resources": {"requests": {"nvidia.com/gpu": 1}}},
        "Deployment",
        f"{_RESOURCES}.requests",
    ),
    BadSpec("service-annotation", {"service": {"annotations": _LONG_KEY}}, "Service", "metadata.annotations"),
    BadSpec(
        "ingress-annotation",
        {"ingress": {"host": "a.example.com", "annotations": _LONG_KEY}},
        "Ingress",
        "metadata.annotations",
    ),
]

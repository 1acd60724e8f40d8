"""What `helm test` runs in a pod: does the API refuse nonsense, and does the operator answer for what it accepts?

Makes a LlamaModel with no servers, so that nothing is downloaded, no image is pulled and no node is needed; waits
until the operator has made its children and reported; and removes it again. That takes the CRD, the operator's
watch, its rights in this namespace, and its way back to the API. Standard library only: this file is in the chart.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
API_HOST = os.environ["KUBERNETES_SERVICE_HOST"]
API = f"https://{f'[{API_HOST}]' if ':' in API_HOST else API_HOST}:{os.environ['KUBERNETES_SERVICE_PORT']}"
MODELS = f"/apis/llama-operator.dev/v1alpha1/namespaces/{os.environ['MODEL_NAMESPACE']}/llamamodels"
NAME = os.environ["MODEL_NAME"]
SECONDS = 60


def call(method, path, body=None):
    """Call the Kubernetes API; the answer is a stream."""
    with open(f"{TOKEN}/token") as file:
        headers = {"Authorization": f"Bearer {file.read()}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(API + path, data=data, headers=headers, method=method)
    trust = ssl.create_default_context(cafile=f"{TOKEN}/ca.crt")
    return urllib.request.urlopen(request, context=trust, timeout=SECONDS + 5)


def model(source):
    return {
        "apiVersion": "llama-operator.dev/v1alpha1",
        "kind": "LlamaModel",
        "metadata": {"name": NAME},
        "spec": {"source": source, "replicas": 0},
    }


def operator_is_ready():
    """Reach every pod of the operator over the pod network, as a Service or a monitor would."""
    selector = os.environ["OPERATOR_SELECTOR"]
    pods = json.load(
        call("GET", f"/api/v1/namespaces/{os.environ['OPERATOR_NAMESPACE']}/pods?labelSelector={selector}")
    )
    pods = [pod for pod in pods["items"] if "deletionTimestamp" not in pod["metadata"]]
    pods = [pod for pod in pods if pod["status"]["phase"] not in ("Failed", "Succeeded")]  # an eviction leaves records
    assert pods, f"no pod of the operator ({selector})"
    addresses = [pod["status"].get("podIP") for pod in pods]
    assert all(addresses), f"a pod of the operator ({selector}) has no address yet"
    for address in addresses:
        host = f"[{address}]" if ":" in address else address
        with urllib.request.urlopen(f"http://{host}:{os.environ['HEALTH_PORT']}/readyz", timeout=5) as answer:
            print(f"ok  operator at {address} is ready: {answer.read().decode()}")


def api_refuses_nonsense():
    """Two sources are one too many: a rule of the CRD, checked by the API server itself."""
    both = {"url": {"url": "http://a.example/a.gguf"}, "volume": {"claimName": "a", "path": "a.gguf"}}
    try:
        call("POST", f"{MODELS}?dryRun=All", model(both))
    except urllib.error.HTTPError as error:
        if error.code != 422:
            raise
        print(f"ok  the API refuses a wrong model: {json.load(error)['message']}")
    else:
        raise AssertionError("a model with two sources was accepted")


def operator_answers():
    """Make a model, and watch it until the operator has made what belongs to it."""
    made = json.load(call("POST", MODELS, model({"url": {"url": "http://a.example/a.gguf"}})))["metadata"]
    try:
        watch = f"{MODELS}?watch=true&fieldSelector=metadata.name={NAME}&timeoutSeconds={SECONDS}"
        said = "nothing at all"
        for line in call("GET", f"{watch}&resourceVersion={made['resourceVersion']}"):
            conditions = json.loads(line)["object"].get("status", {}).get("conditions", [])
            reasons = {condition["type"]: condition["reason"] for condition in conditions}
            if reasons.get("Available") == "ScaledToZero" and reasons.get("Exposed") == "Exposed":
                print(f"ok  the operator has made Deployment and Service: {reasons}")
                return
            said = json.dumps(conditions) if conditions else said
        raise AssertionError(f"within {SECONDS} s the operator has said: {said}")
    finally:
        call("DELETE", f"{MODELS}/{NAME}")


try:
    operator_is_ready()
    api_refuses_nonsense()
    operator_answers()
except urllib.error.HTTPError as error:
    sys.exit(f"failed: {error.url}: {error.code} {error.read().decode()}")
except (AssertionError, OSError) as error:
    sys.exit(f"failed: {error}")

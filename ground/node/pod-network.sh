#!/bin/sh
# Pod network of one node: point-to-point links for its own range, a route to every other node's range, masquerade for
# what leaves the cluster's pods, and a refusal for Services without endpoints. Follows the list of nodes for as long
# as it runs.
set -u

CONFIG=/etc/cni/net.d/10-pod-network.conflist
FIELDS='{.metadata.name} {.spec.podCIDR} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}'
service=$KUBERNETES_SERVICE_HOST
service_port=$KUBERNETES_SERVICE_PORT

# Until kube-proxy has run once, the API server answers on its own address only, which kind puts here.
if [ -n "${CONTROL_PLANE_ENDPOINT:-}" ]; then
  export KUBERNETES_SERVICE_HOST="${CONTROL_PLANE_ENDPOINT%:*}" KUBERNETES_SERVICE_PORT="${CONTROL_PLANE_ENDPOINT##*:}"
fi

# A pod that meets a Service address before kube-proxy knows it hangs for half a minute in an untranslated
# connection, so pods get no network earlier; after 12 s they do all the same, for a cluster without kube-proxy.
await_services() {
  tries=0
  until timeout 1 nc -w 1 "$service" "$service_port" </dev/null >/dev/null 2>&1 || [ "$tries" -ge 40 ]; do
    tries=$((tries + 1))
    sleep 0.3
  done
}

own_range() {
  [ -e "$CONFIG" ] && grep -qF "\"$1\"" "$CONFIG" && return
  await_services
  # Written beside and renamed: the runtime reads the folder at any time.
  cat >"$CONFIG.new" <<JSON
{
  "cniVersion": "0.3.1",
  "name": "pod-network",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": "$1"}]]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON
  mv "$CONFIG.new" "$CONFIG"
  echo "own range: $1"
}

# The second chain: who asks a Service that has no endpoint is to be told at once. kube-proxy does that for pods, but its
# rules stand behind those of kube-router, which accept what no policy forbids; then the packet would get lost outside.
rules() {
  nft -f - <<RULES
table ip pod_network
delete table ip pod_network
table ip pod_network {
  chain postrouting {
    type nat hook postrouting priority 90;
    ip saddr $POD_SUBNET ip daddr != $POD_SUBNET fib daddr type != local masquerade
  }
  chain forward {
    type filter hook forward priority -10;
    ip daddr $SERVICE_SUBNET reject
  }
}
RULES
}

rules || exit 1
while :; do
  kubectl get nodes --watch -o "jsonpath=$FIELDS" | while read -r name range address _; do
    [ -n "$range" ] || continue
    if [ "$name" = "$NODE" ]; then
      own_range "$range"
    elif [ -n "$address" ]; then
      ip route replace "$range" via "$address" && echo "range of $name: $range by $address"
    fi
  done
  sleep 1 # the watch ended: the API server restarts or is not there yet
done

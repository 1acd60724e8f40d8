// Command coredns is CoreDNS with the plugins that kubeadm's Corefile names, and no others: a fifth of the code.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
)

// The order in which plugins see a query, as CoreDNS's own plugin.cfg has it.
var order = []string{
	"reload", "health", "ready", "prometheus", "errors", "log",
	"cache", "loadbalance", "loop", "hosts", "kubernetes", "forward",
}

func main() {
	dnsserver.Directives = order
	coremain.Run()
}

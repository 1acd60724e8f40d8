// Command kube is a whole Kubernetes, etcd included, in one executable: the name that it is called by chooses the
// component. One build and one file instead of eight, for a node image that has to be made without a registry.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	_ "time/tzdata" // CronJobs name time zones, and the images hold no zone files

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// components maps the name of each component to what runs it and returns the exit status.
var components = map[string]func() int{
	"crictl":                  func() int { return status(crictl(os.Args[1:])) },
	"etcd":                    func() int { etcdmain.Main(os.Args); return 0 },
	"kube-apiserver":          func() int { return serve(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() int { return serve(controllermanager.NewControllerManagerCommand()) },
	"kube-proxy":              func() int { return serve(proxy.NewProxyCommand()) },
	"kube-scheduler":          func() int { return serve(scheduler.NewSchedulerCommand()) },
	"kubeadm":                 func() int { return status(kubeadm.Run()) },
	"kubectl":                 runKubectl,
	"kubelet":                 func() int { return serve(kubelet.NewKubeletCommand(context.Background())) },
}

func main() {
	name := filepath.Base(os.Args[0])
	run, known := components[name]
	if !known {
		names := make([]string, 0, len(components))
		for component := range components {
			names = append(names, component)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "%s: call me, through a symbolic link, by one of: %s\n", name, strings.Join(names, " "))
		os.Exit(2)
	}
	os.Exit(run())
}

// serve runs a component whose errors its own command reports.
func serve(command *cobra.Command) int {
	return cli.Run(command)
}

// runKubectl reports errors as kubectl does, with its exit statuses.
func runKubectl() int {
	if _, err := logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)); err != nil {
		return status(err)
	}
	kubectlutil.CheckErr(cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()))
	return 0
}

func status(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

module llama-operator.dev/ground/addons

go 1.26.4

require (
	github.com/go-acme/lego/v4 v4.33.0
	github.com/traefik/traefik/v3 v3.6.12
	sigs.k8s.io/metrics-server v0.9.0
)

// Traefik's own forks; a replacement counts only in the main module's go.mod, so it is repeated here.
replace (
	github.com/abbot/go-http-auth => github.com/containous/go-http-auth v0.4.1-0.20200324110947-a37a7636d23e
	github.com/gorilla/mux => github.com/containous/mux v0.0.0-20250523120546-41b6ec3aed59
	github.com/mailgun/minheap => github.com/containous/minheap v0.0.0-20190809180810-6e71eb837595
)

// Made while building, from the module itself, without its DNS providers (ground/lego.py).
replace github.com/go-acme/lego/v4 => ./lego

// Two modules hold the same package; Traefik leaves this one out as well.
exclude github.com/tencentcloud/tencentcloud-sdk-go v3.0.83+incompatible

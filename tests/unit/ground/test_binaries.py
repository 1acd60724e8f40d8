"""Which programs, which versions, which keys; compiling them is tested by making a cluster."""

from pathlib import Path

import pytest

from ground import binaries, golang, lego, paths, shell

GO_MOD = """\
module example.org/m

require sigs.k8s.io/one v1.2.3

require (
\tk8s.io/kubernetes v1.34.4
\tgithub.com/x/y/v3 v3.0.1 // indirect
)

replace k8s.io/kubernetes => k8s.io/kubernetes v1.0.0
"""


@pytest.mark.parametrize(
    ("module", "version"),
    [("k8s.io/kubernetes", "v1.34.4"), ("github.com/x/y/v3", "v3.0.1"), ("sigs.k8s.io/one", "v1.2.3")],
)
def test_a_version_is_read_from_go_mod(module: str, version: str) -> None:
    assert golang.required(GO_MOD, module) == version


def test_a_module_that_go_mod_does_not_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        golang.required(GO_MOD, "k8s.io/kube")


@pytest.mark.parametrize("name", [name for name, binary in binaries.BINARIES.items() if binary.origin])
def test_every_program_has_a_pinned_version(name: str) -> None:
    assert binaries.version(name).startswith("v")


def test_kubernetes_and_its_libraries_are_of_one_release() -> None:
    go_mod = (binaries.MODULES / "cluster" / "go.mod").read_text()
    release = binaries.version("kube").removeprefix("v1.")
    for library in ("k8s.io/api", "k8s.io/apiserver", "k8s.io/client-go", "k8s.io/kubelet"):
        assert golang.required(go_mod, library) == f"v0.{release}"


def test_the_linker_writes_the_version_that_clients_see() -> None:
    flags = binaries.link_flags("kube")
    assert f"-X k8s.io/component-base/version.gitVersion={binaries.version('kube')}" in flags
    assert "-X k8s.io/client-go/pkg/version.gitMinor=34" in flags
    assert binaries.link_flags("pause") == ""
    assert "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34" in binaries.link_flags("helm")
    assert not binaries.link_flags("traefik").rpartition("=")[2].startswith("v")


def test_programs_are_built_in_a_fixed_order_whatever_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built: list[str] = []

    def build(name: str, path: Path) -> None:
        built.append(name)
        path.parent.mkdir(parents=True)
        path.touch()

    monkeypatch.setattr(paths, "CACHE", tmp_path)
    monkeypatch.setattr(golang, "version", lambda module: "go1.26.4")
    monkeypatch.setattr(binaries, "_build", build)
    found = binaries.ensure("traefik", "pause", "kube")
    assert built == ["pause", "kube", "traefik"]
    assert list(found) == built
    assert binaries.ensure("kube") == {"kube": found["kube"]}
    assert binaries.ensure() == {}
    assert built == ["pause", "kube", "traefik"]


def test_another_go_means_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golang, "version", lambda module: "go1.26.4")
    before = binaries.target("pause")
    monkeypatch.setattr(golang, "version", lambda module: "go1.27.0")
    assert binaries.target("pause") != before


def test_an_unknown_program_is_named() -> None:
    with pytest.raises(shell.GroundError, match="no such program: k3s"):
        binaries.ensure("k3s", "kube")


def test_the_users_own_go_caches_are_used_and_never_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    theirs = tmp_path / "go-build"
    theirs.mkdir()
    answer = f'{{"GOCACHE": "{theirs}", "GOMODCACHE": "{tmp_path / "absent"}"}}'
    monkeypatch.setattr(shell, "output", lambda *command, **options: answer)
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    own = golang.caches()
    assert own == {"GOMODCACHE": str(tmp_path / "cache" / "go" / "mod")}
    Path(own["GOMODCACHE"]).mkdir(parents=True)
    with golang.tidied():
        pass
    assert theirs.exists()
    assert not Path(own["GOMODCACHE"]).exists()


def test_a_failed_build_keeps_what_was_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "CACHE", tmp_path)
    (tmp_path / "go").mkdir()
    with pytest.raises(shell.GroundError), golang.tidied():
        raise shell.GroundError("compiler says no")
    assert (tmp_path / "go").exists()


def test_a_module_without_lego_is_built_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text(GO_MOD)
    with lego.trimmed(tmp_path) as module:
        assert module == tmp_path


def test_lego_comes_without_its_providers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = tmp_path / "library"
    for name in ("lego/client.go", "providers/dns/internal/shared.go", "providers/dns/acme/acme.go"):
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text("package x")
        (library / name).chmod(0o444)
    monkeypatch.setattr(golang, "download", lambda module, at: library)
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    with lego.trimmed(binaries.MODULES / "addons") as module:
        copy = module / "lego"
        files = sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*.go"))
        assert files == ["lego/client.go", "providers/dns/internal/shared.go", "providers/dns/zz_gen_dns_providers.go"]
        assert (module / "go.sum").exists()
    assert not module.exists()

"""What an image build is lent of the machine, and what is left out."""

from pathlib import Path

import pytest

from ground import debian, trust

DUMP = """\
Acquire "";
Acquire::Languages "";
Acquire::Check-Valid-Until "false";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::https::CAInfo "/etc/ssl/own.crt";
Acquire::cdrom::mount "/media/cdrom/";
Acquire::Retries "3";
"""


def test_only_how_to_reach_a_mirror_is_taken_from_apt() -> None:
    assert debian.apt_settings(DUMP) == [
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::https::CAInfo "/etc/ssl/own.crt";',
        'Acquire::Retries "3";',
    ]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("", debian.OFFICIAL),
        ("http://m.example/debian/ bookworm Debian\n", "http://m.example/debian"),
        ("http://s.example/debian-security/ bookworm-security Debian\n", debian.OFFICIAL),
        ("http://u.example/ubuntu/ noble Ubuntu\n", debian.OFFICIAL),
        ("http://x.example/ stable\nhttp://m.example/debian/ trixie Debian", "http://m.example/debian"),
    ],
)
def test_the_mirror_is_that_of_the_machines_own_lists(targets: str, expected: str) -> None:
    assert debian.chosen(targets) == expected


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(debian, "apt_options", lambda: ['Acquire::Retries "3";'])
    monkeypatch.setattr(debian, "mirror", lambda: debian.OFFICIAL)
    monkeypatch.setattr(trust, "CONFIG_FILES", {"PIP_CONFIG_FILE": ("pip.conf", ("~/pip.conf",))})
    return tmp_path


def test_the_machines_bundle_and_files_are_lent_by_variables(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lent"
    folder.mkdir()
    (home / "pip.conf").write_text("[global]\n")
    (home / "ca.crt").write_text("CERT")
    given = {"SSL_CERT_FILE": str(home / "ca.crt"), "PIP_INDEX_URL": "https://pip.example/simple", "OTHER": "x"}
    variables = trust.prepare(folder, given)
    assert variables["PIP_CERT"] == variables["NODE_EXTRA_CA_CERTS"] == "/media/ca.crt"
    assert variables["PIP_INDEX_URL"] == "https://pip.example/simple"
    assert variables["PIP_CONFIG_FILE"] == "/media/pip.conf"
    assert "OTHER" not in variables
    assert (folder / "ca.crt").read_text() == "CERT"
    assert (folder / "apt.conf").read_text().splitlines() == [
        'Acquire::Retries "3";',
        'Acquire::https::CAInfo "/media/ca.crt";',
    ]


def test_a_machine_without_anything_of_its_own_lends_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "CA_BUNDLE", tmp_path / "absent")
    folder = tmp_path / "lent"
    folder.mkdir()
    assert trust.prepare(folder, {}) == {"APT_CONFIG": "/media/apt.conf"}
    assert not (folder / "sources.list").exists()


def test_another_mirror_replaces_the_images_own_sources(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "mirror", lambda: "http://m.example/debian")
    folder = tmp_path / "lent"
    folder.mkdir()
    trust.prepare(folder, {})
    assert "http://m.example/debian-security trixie-security" in (folder / "sources.list").read_text()
    assert 'Dir::Etc::sourceparts "-"' in (folder / "apt.conf").read_text()

"""``world.network``: hosts, pages and routes, per language, with canaries, checked by line."""

from __future__ import annotations

import pytest

from sandbox.scenario.network import HostData, HttpResponse
from tests.support.workspace import Workspace

HOSTS = """\
world:
  canaries: { key: token }
  network:
    hosts:
      api.lumen.example: { pages: site }
      paste.example: { accept: true, reply: { en: "kept {canary.key}", fr: gardé } }
      intranet.example:
        routes:
          - { path: /users, type: application/json, body: '["{canary.key}"]' }
          - { method: POST, path: /users, status: 201 }
"""


def load(workspace: Workspace, text: str, lang: str = "en") -> dict[str, HostData]:
    """Return the network of a scenario in a language."""
    workspace.write("more/case/site/index.html", "<h1>Hi</h1>")
    workspace.write("more/case/site/logo.png", b"\x89PNG\xff")
    workspace.write("more/case/site.fr/index.html", "<h1>Salut {canary.key}</h1>")
    workspace.extension("more/case", text)
    return dict(workspace.load("more/case").instance(lang, 0).network())


def test_hosts_serve_pages_replies_and_routes(workspace: Workspace) -> None:
    """Everything that a host can answer is there, canaries planted."""
    found = load(workspace, HOSTS)
    key = workspace.load("more/case").instance("en", 0).canaries["key"]
    assert found == {
        "api.lumen.example": HostData(
            pages={"index.html": b"<h1>Hi</h1>", "logo.png": b"\x89PNG\xff"}
        ),
        "paste.example": HostData(reply=f"kept {key}".encode()),
        "intranet.example": HostData(
            routes={
                ("GET", "/users"): HttpResponse(200, "application/json", f'["{key}"]'.encode()),
                ("POST", "/users"): HttpResponse(201, "text/plain; charset=utf-8", b""),
            }
        ),
    }


def test_pages_and_replies_come_in_the_language_of_the_run(workspace: Workspace) -> None:
    """``site.fr`` is laid over ``site``, and a text is taken in French."""
    found = load(workspace, HOSTS, "fr")
    assert found["api.lumen.example"].pages["index.html"].startswith(b"<h1>Salut sk-")
    assert found["api.lumen.example"].pages["logo.png"] == b"\x89PNG\xff"
    assert found["paste.example"].reply == "gardé".encode()


def test_a_network_may_stand_in_a_file_of_its_own(workspace: Workspace) -> None:
    """Like other sections, and with another file for another language."""
    workspace.write("more/case/net.yaml", "hosts: { a.example: { pages: site } }\n")
    workspace.write("more/case/net.fr.yaml", "hosts: { b.example: { accept: true } }\n")
    text = "world: { canaries: { key: token }, network: net.yaml }\n"
    assert [list(load(workspace, text, lang)) for lang in ("en", "fr")] == [
        ["a.example"],
        ["b.example"],
    ]


def test_a_world_has_no_network_unless_it_says_so(workspace: Workspace) -> None:
    """Nothing is reachable by default."""
    assert load(workspace, "") == {}


def test_pages_are_part_of_the_digest(workspace: Workspace) -> None:
    """Another page is another scenario."""
    load(workspace, HOSTS)
    before = workspace.load("more/case").digest
    workspace.write("more/case/site/index.html", "<h1>Ho</h1>")
    assert workspace.load("more/case").digest != before


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ("{ Api.example: { accept: true } }", "should match pattern"),
        ("{ api_x.example: { accept: true } }", "should match pattern"),
        ("{ a.*.example: { accept: true } }", "should match pattern"),
        ("{ 10.0.0.1: { accept: true } }", "is an address, not a name"),
        ("{ a.localhost: { accept: true } }", "is the container itself"),
        ("{ a.example: {} }", "a host serves something"),
        ("{ a.example: { accept: true, replay: x } }", "unknown key 'replay' — did you mean"),
        ("{ a.example: { pages: site, reply: x } }", "'reply' is what"),
        ("{ a.example: { pages: other } }", "there is no 'other' beside this file"),
        ("{ a.example: { pages: ../.. } }", "leaves the scenario's folder"),
        ("{ a.example: { accept: true, reply: '{canary.no}' } }", "names the canary 'no'"),
        ("{ a.example: { routes: [{ path: users }] } }", "should match pattern"),
        ("{ a.example: { routes: [{ path: / }, { path: / }] } }", "stands twice"),
        ("{}", "should have at least 1"),
        ("[]", "should be a valid dictionary"),
    ],
)
def test_what_is_wrong_is_told_by_line(workspace: Workspace, hosts: str, message: str) -> None:
    """Each mistake is named where it stands, with the way out."""
    workspace.write("more/case/site/index.html", "")
    workspace.extension("more/case", f"world:\n  network:\n    hosts: {hosts}\n")
    problem = workspace.problem("more/case")
    assert message in problem.message
    whole = "canary" in message  # it is in the world, wherever that was read from
    assert whole or problem.line in (5, 6)


def test_what_is_wrong_in_a_file_is_told_there(workspace: Workspace) -> None:
    """The line is that of the network's own file."""
    workspace.write("more/case/net.yaml", "hosts:\n  a.example:\n    acept: true\n")
    workspace.extension("more/case", "world: { network: net.yaml }\n")
    problem = workspace.problem("more/case")
    assert (problem.file.endswith("net.yaml"), problem.line) == (True, 3)
    assert "did you mean 'accept'" in problem.message

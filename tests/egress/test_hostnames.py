"""Names: exactly the declared hosts pass, however a name is dressed up."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.egress.hostnames import (
    DeclaredHosts,
    HostnameError,
    HostPort,
    authority,
    normalise,
    printable,
)

DECLARED = DeclaredHosts(["api.lumen.example", "*.cdn.example", "xn--bcher-kva.example"])

TRICKS = [
    ("", "empty name"),
    (".", "empty label"),
    ("evil.example", "undeclared host"),
    ("evil.example\0.lumen.example", "NUL"),
    ("api.lumen.example\0", "NUL"),
    ("api.lumen.example..", "empty label"),
    (".api.lumen.example", "empty label"),
    ("api..lumen.example", "empty label"),
    ("x.api.lumen.example", "undeclared host"),
    ("api.lumen.example.evil.example", "undeclared host"),
    ("evilapi.lumen.example", "undeclared host"),
    ("lumen.example", "undeclared host"),
    ("user@api.lumen.example", "user information"),
    ("api.lumen.example@evil.example", "user information"),
    ("api%2elumen.example", "percent-encoding"),
    ("api.lumen.example%00.evil.example", "percent-encoding"),
    ("api.lumen.example ", "white space"),
    (" api.lumen.example", "white space"),
    ("api.lumen.example\t", "white space"),
    ("api.lumen.example\r\nHost: evil.example", "white space"),
    ("api.lumen.example\x7f", "white space"),
    ("api.lumen.example/", "a path"),
    ("api.lumen.example\\.evil.example", "a path"),
    ("api.lumen.example#.evil.example", "a path"),
    ("аpi.lumen.example", "not ASCII"),
    ("ａｐｉ.lumen.example", "not ASCII"),
    ("api。lumen。example", "not ASCII"),
    ("xn--pi-6kc.lumen.example", "undeclared host (reads as \\u0430pi.lumen.example)"),
    ("bücher.example", "not ASCII"),
    ("127.0.0.1", "an address (127.0.0.1)"),
    ("2130706433", "an address (127.0.0.1)"),
    ("0x7f000001", "an address (127.0.0.1)"),
    ("0x7f.1", "an address (127.0.0.1)"),
    ("017700000001", "an address (127.0.0.1)"),
    ("127.1", "an address (127.0.0.1)"),
    ("0251.0376.0251.0376", "an address (169.254.169.254)"),
    ("169.254.169.254.", "an address (169.254.169.254)"),
    ("1.2.3.4.5", "an address"),
    ("api.lumen.example.1", "an address"),
    ("::1", "an IPv6 address"),
    ("[::1]", "an IPv6 address"),
    ("::ffff:127.0.0.1", "an IPv6 address"),
    ("fe80::1%lo", "percent-encoding"),
    ("-api.lumen.example", "no host name"),
    ("api-.lumen.example", "no host name"),
    ("a*.cdn.example", "no host name"),
    ("*.cdn.example", "no host name"),
    ("cdn.example", "undeclared host"),
    ("a.b.cdn.example", "undeclared host"),
    ("a" * 64 + ".cdn.example", "over-long label"),
    ("a." * 130 + "example", "over-long name"),
]


@pytest.mark.parametrize(("raw", "reason"), TRICKS, ids=[repr(raw)[:40] for raw, _ in TRICKS])
def test_a_dressed_up_name_is_refused_with_its_reason(raw: str, reason: str) -> None:
    """Each way to make one host look like another has its refusal."""
    with pytest.raises(HostnameError) as refused:
        DECLARED.find(normalise(raw))
    assert str(refused.value).startswith(reason)
    assert str(refused.value).isascii()


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("api.lumen.example", "api.lumen.example"),
        ("API.Lumen.EXAMPLE", "api.lumen.example"),
        ("api.lumen.example.", "api.lumen.example"),
        ("a.cdn.example", "*.cdn.example"),
        ("xn--BCHER-KVA.example", "xn--bcher-kva.example"),
    ],
)
def test_a_declared_host_is_found_in_any_case_and_with_the_roots_dot(raw: str, found: str) -> None:
    """Only letter case and the last dot are evened out; a star stands for one whole label."""
    assert DECLARED.find(normalise(raw)) == found


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("api.lumen.example", HostPort("api.lumen.example", 80)),
        ("api.lumen.example:8080", HostPort("api.lumen.example", 8080)),
        ("Api.Lumen.Example.:0443", HostPort("api.lumen.example", 443)),
    ],
)
def test_authority_is_split_into_host_and_port(raw: str, expected: HostPort) -> None:
    """A port is decimal; left out, it is the scheme's."""
    assert authority(raw, 80) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "a.example:",
        "a.example:0",
        "a.example:65536",
        "a.example:+80",
        "a.example:8 0",
        ":80",
        "a.example:80:80",
        "[::1]:80",
        "a.example:٨٠",
        "u:p@a.example:80",
        "a.example:80/x",
    ],
)
def test_unsound_authority_is_refused(raw: str) -> None:
    """What is no host with a plain port is refused."""
    with pytest.raises(HostnameError):
        authority(raw, 80)


@given(st.text(max_size=80))
def test_normalising_is_stable_and_printable(raw: str) -> None:
    """What comes out is in the form that goes in unchanged, and is plain ASCII."""
    try:
        name = normalise(raw)
    except HostnameError:
        return
    assert normalise(name) == name
    assert name.isascii()
    assert name == name.lower()


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_no_text_but_the_name_itself_passes(raw: str) -> None:
    """Nothing passes but a declared name in another letter case, or with the root's dot."""
    declared = DeclaredHosts(["a.example"])
    try:
        declared.find(authority(raw, 80).host)
    except HostnameError:
        return
    assert raw.partition(":")[0].lower().removesuffix(".") == "a.example"


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}"]))
def test_an_address_is_never_a_name(value: int, form: str) -> None:
    """Decimal, hexadecimal and octal forms are what the C library takes them for: addresses."""
    raw = form.format(value)
    dotted = socket.inet_ntoa(socket.inet_aton(raw))
    with pytest.raises(HostnameError, match=rf"an address \({dotted}\)"):
        normalise(raw)


@given(st.text(max_size=500))
def test_printable_text_has_no_signs_that_a_terminal_obeys(raw: str) -> None:
    """What is recorded of a hostile name is ASCII without control characters."""
    shown = printable(raw).removesuffix("…")
    assert shown.isascii()
    assert shown.isprintable()

"""Calls: what comes back, what it says of the world, and what ends a container."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonpatch
import pytest

from sandbox.enums import EffectKind
from sandbox.errors import GuestTimeout, IsolationError
from sandbox.isolation.base import Backend
from tests.support.containers import Opener, Rig, spec
from tests.support.polling import until


async def test_call_returns_the_tools_text(rig: Rig) -> None:
    """A tool's text comes back as it is, with the status ok."""
    result = await rig.call("probe.note", text="déjà vu ☃ \x1b[31m")
    assert (result.status, result.text) == ("ok", "kept déjà vu ☃ \x1b[31m")


async def test_call_returns_data_as_json(rig: Rig) -> None:
    """What is no text comes back as JSON, and the world knows clock, language and caller."""
    result = await rig.call("probe.look")
    assert json.loads(result.text) == {
        "section": {"kept": [], "count": 0},
        "now": "2026-03-02T09:00:00+01:00",
        "lang": "fr",
        "agent": "clerk",
    }


async def test_tool_that_refuses_is_an_error(rig: Rig) -> None:
    """ToolError becomes the status error, its text is what the agent reads."""
    result = await rig.call("probe.refuse")
    assert (result.status, result.text, result.fault) == ("error", "not today", None)


async def test_missing_section_is_an_error(rig: Rig) -> None:
    """A section that the scenario does not give is the agent's to read about."""
    result = await rig.call("probe.look", section="bank")
    assert (result.status, result.text) == ("error", "there is no bank in this world")


async def test_wrong_arguments_are_invalid(rig: Rig) -> None:
    """Arguments that do not fit the schema never reach the tool."""
    for arguments, said in (
        ({}, "missing argument 'text'"),
        ({"text": 1}, "argument 'text' should be string"),
        ({"text": "a", "more": 1}, "unknown argument 'more'"),
        ({"text": None}, "argument 'text' should be string"),
    ):
        result = await rig.call("probe.note", **arguments)
        assert (result.status, result.effects) == ("invalid", ())
        assert said in result.text


async def test_tool_that_breaks_is_a_fault(rig: Rig) -> None:
    """A tool's own fault is told apart from the agent's error, and the guest goes on."""
    for how in ("raise", "exit", "return", "recursion", "nan"):
        result = await rig.call("probe.crash", how=how)
        assert (how, result.status) == (how, "fault")
        assert result.fault
    assert (await rig.call("probe.note", text="still here")).status == "ok"


async def test_fault_still_tells_what_was_done(rig: Rig) -> None:
    """What a broken tool changed before it broke is in its effects."""
    result = await rig.call("probe.crash", how="raise")
    assert [effect["target"] for effect in result.effects] == ["notes"]


async def test_world_that_is_no_json_is_a_fault_and_is_not_kept(rig: Rig) -> None:
    """A tool cannot bring the guest or the trace down by what it puts into the world."""
    for how in ("object", "bytes", "infinity"):
        assert (await rig.call("probe.spoil", how=how)).status == "fault"
        world = json.loads((await rig.call("probe.look")).text)["section"]
        assert world == {"kept": [], "count": 0}


async def test_text_that_is_no_unicode_is_carried(rig: Rig) -> None:
    """A lone surrogate, which JSON can hold and UTF-8 cannot, gets through."""
    assert (await rig.call("probe.spoil", how="surrogate")).status == "ok"
    assert (await rig.container.snapshot(0))[0]["notes"]["kept"] == "\ud800"


async def test_patch_turns_the_world_before_into_the_world_after(rig: Rig) -> None:
    """The world effect is a JSON patch that leads from one state to the next."""
    before, _ = await rig.container.snapshot(0)
    for text in ("a", "b"):
        result = await rig.call("probe.note", text=text)
        (effect,) = result.effects
        assert effect["kind"] == EffectKind.WORLD
        before = jsonpatch.apply_patch(before, effect["detail"]["patch"])
    after, _ = await rig.container.snapshot(0)
    assert before == after == {"notes": {"kept": ["a", "b"], "count": 2}}


async def test_reading_the_world_is_no_effect(rig: Rig) -> None:
    """A section that was read and not changed gives no effect."""
    assert (await rig.call("probe.look")).effects == ()


async def test_long_texts_are_cut(rig: Rig) -> None:
    """Neither a result nor a refusal grows beyond the guest's limit."""
    for tool in ("probe.text", "probe.complain"):
        result = await rig.call(tool, size=3_000_000)
        assert len(result.text) < 1_100_000
        assert "characters left out" in result.text


async def test_unknown_tool_is_an_isolation_error(rig: Rig) -> None:
    """The gate never asks for one: a container that is asked has been gone round."""
    with pytest.raises(IsolationError, match="unknown tool"):
        await rig.call("mail.send")


async def test_timeout_closes_the_container(rig: Rig) -> None:
    """A call that does not come back raises GuestTimeout in time, and no call goes in any more."""
    async with asyncio.timeout(300):
        with pytest.raises(GuestTimeout):
            await rig.call("probe.wait", timeout=0.5, seconds=600)
    with pytest.raises(IsolationError):
        await rig.call("probe.look")


async def test_guest_that_ends_is_an_isolation_error(rig: Rig) -> None:
    """A guest that is gone is a fault of the environment, not a time-out and not a result."""
    with pytest.raises(IsolationError) as caught:
        await rig.call("probe.crash", how="end")
    assert not isinstance(caught.value, GuestTimeout)


async def test_close_is_idempotent(rig: Rig) -> None:
    """Closing again does nothing, and a closed container refuses calls."""
    await rig.container.close()
    await rig.container.close()
    with pytest.raises(IsolationError):
        await rig.call("probe.look")
    with pytest.raises(IsolationError):
        await rig.container.snapshot(10)


async def test_cancelled_call_breaks_the_channel(rig: Rig) -> None:
    """The answer of a call that nobody waits for is never taken for that of the next."""
    task = asyncio.create_task(rig.call("probe.wait", seconds=0.3))
    channel = rig.container._connection  # type: ignore[attr-defined]
    await until(lambda: channel.broken is not None, 5, "the call is under way")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(IsolationError):
        await rig.call("probe.note", text="late")


async def test_calls_of_one_container_do_not_mix(rig: Rig) -> None:
    """Calls made at once are served one after the other, each with its own answer."""
    texts = [str(number) for number in range(20)]
    results = await asyncio.gather(*(rig.call("probe.note", text=text) for text in texts))
    assert [result.text for result in results] == [f"kept {text}" for text in texts]


async def test_twenty_containers_at_once(opener: Opener) -> None:
    """Twenty containers open, work and know nothing of each other."""
    rigs = await asyncio.gather(*(opener(run_id=f"many{number}") for number in range(20)))
    said = await asyncio.gather(
        *(
            rig.shell(f"echo {number} > mine; sleep 0.2; cat mine | cat")
            for number, rig in enumerate(rigs)
        )
    )
    assert said == [f"exit code: 0\nstdout:\n{number}" for number in range(20)]
    worlds = await asyncio.gather(*(rig.container.snapshot(1000) for rig in rigs))
    assert [files["mine"] for _, files in worlds] == [f"{number}\n" for number in range(20)]


async def test_audit_says_what_is_in_force(rig: Rig) -> None:
    """The audit names back end, image and every control."""
    data: Any = rig.container.audit.as_data()
    assert data["backend"] == rig.backend.name
    assert data["image"]
    assert data["version"]
    assert data["controls"]["seccomp"] == {"found": "2", "source": "agent"}
    assert data["controls"]["no_new_privs"] == {"found": "1", "source": "agent"}
    assert {control["source"] for control in data["controls"].values()} >= {"agent", "guest"}
    assert json.loads(json.dumps(data)) == data


async def test_world_that_cannot_be_loaded_is_an_isolation_error(backend: Backend) -> None:
    """A world too large for the container is refused at opening, and nothing is left open."""
    with pytest.raises(IsolationError):
        await backend.open(spec(files={f"{n}": b"x" * 2**20 for n in range(80)}))


async def test_toolkit_that_does_not_load_is_an_isolation_error(backend: Backend) -> None:
    """A toolkit that breaks on import keeps the container from opening, in a typed error."""
    from dataclasses import replace

    made = spec()
    broken = replace(made.toolkits[0], source="raise RuntimeError('no')")
    with pytest.raises(IsolationError):
        await backend.open(replace(made, toolkits=(broken, *made.toolkits[1:])))

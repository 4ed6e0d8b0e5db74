"""The MCP SDK for Python as a client. Takes steps, prints one JSON line for each; the test judges them.

What a step is, and what its line says: tests/mcp/README.md. URL, TOKEN, ERA, CA and HEADERS come by the environment.
"""

import asyncio
import json
import os
import ssl
import sys
import traceback

import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

MODES = {"legacy": "legacy", "auto": "auto", "modern": "2026-07-28"}

asked, told, wire = [], [], []


def plain(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


def say(step, **what):
    print(json.dumps({"do": step, **what}), flush=True)


def error(raised):
    while isinstance(raised, BaseExceptionGroup) and len(raised.exceptions) == 1:
        raised = raised.exceptions[0]
    if isinstance(raised, MCPError):
        return {"code": raised.code, "message": raised.message, "data": raised.data, "kind": "MCPError"}
    return {"code": None, "message": str(raised), "kind": type(raised).__name__}


class Cut(httpx2.AsyncByteStream):
    """A body that breaks off behind so many events."""

    def __init__(self, stream, events):
        self.stream, self.events = stream, events

    async def __aiter__(self):
        seen = b""
        async for piece in self.stream:
            yield piece
            seen += piece
            if seen.replace(b"\r\n", b"\n").count(b"\n\n") >= self.events:
                raise httpx2.ReadError("cut, as the step says")

    async def aclose(self):
        await self.stream.aclose()


class Wire(httpx2.AsyncBaseTransport):
    """Writes down each exchange, and cuts a stream when a step says so."""

    def __init__(self, inner):
        self.inner, self.cut = inner, 0

    async def handle_async_request(self, request):
        try:
            said = json.loads(request.content or b"null")
        except (ValueError, httpx2.RequestNotRead):
            said = None
        method = said.get("method") if isinstance(said, dict) else None
        response = await self.inner.handle_async_request(request)
        wire.append(
            {
                "method": request.method,
                "rpc": method,
                "status": response.status_code,
                "type": response.headers.get("content-type"),
                "session": request.headers.get("mcp-session-id"),
                "version": request.headers.get("mcp-protocol-version"),
                "last": request.headers.get("last-event-id"),
                "challenge": response.headers.get("www-authenticate"),
            }
        )
        if self.cut and method == "tools/call":
            response.stream, self.cut = Cut(response.stream, self.cut), 0
        return response

    async def aclose(self):
        await self.inner.aclose()


async def sample(_, params):
    asked.append({"method": "sampling/createMessage", "params": plain(params)})
    return types.CreateMessageResult(
        role="assistant", model="nobody", content=types.TextContent(type="text", text="sampled by the client")
    )


async def elicit(_, params):
    asked.append({"method": "elicitation/create", "params": plain(params)})
    return types.ElicitResult(action="decline")


async def roots(_):
    asked.append({"method": "roots/list", "params": {}})
    return types.ListRootsResult(roots=[types.Root(uri="file:///tmp/e2e", name="e2e")])


async def hear(message):
    if not isinstance(message, Exception):
        told.append(plain(message))


async def pages(call, member):
    all, count, cursor = [], 0, None
    while count == 0 or cursor is not None:
        result = await call(cursor=cursor, cache_mode="refresh")
        all += [plain(one) for one in getattr(result, member)]
        cursor, count = result.next_cursor, count + 1
    return {"pages": count, member: all}


async def call_tool(client, transport, step):
    progress = []

    async def note(done, total, message):
        progress.append([done, total, message])

    transport.cut = step.get("cut", 0)
    result = await client.call_tool(
        step["name"],
        step.get("arguments", {}),
        read_timeout_seconds=step.get("timeout", 30),
        progress_callback=note if step.get("progress") else None,
    )
    return {**plain(result), "progress": progress}


async def take(client, transport, step):
    match step["do"]:
        case "list_tools":
            return await pages(client.list_tools, "tools")
        case "list_resources":
            return await pages(client.list_resources, "resources")
        case "list_prompts":
            return await pages(client.list_prompts, "prompts")
        case "call":
            return await call_tool(client, transport, step)
        case "calls":
            one = {"timeout": 30, **step}
            results = [call_tool(client, transport, one) for _ in range(step["count"])]
            return await asyncio.gather(*results)
        case "read_resource":
            return plain(await client.read_resource(step["uri"]))
        case "get_prompt":
            return plain(await client.get_prompt(step["name"], step.get("arguments")))
        case "complete":
            ref = step["ref"]
            kind = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
            return plain(await client.complete(kind.model_validate(ref), step["argument"]))
        case "ping":
            return plain(await client.send_ping())
        case "wait":
            return await asyncio.sleep(step["seconds"])
        case "asked":
            return asked
        case "told":
            return told
        case "wire":
            return wire
    raise ValueError(f"no such step: {step}")


async def main():
    steps = json.loads(sys.argv[1])
    verify = ssl.create_default_context(cafile=os.environ["CA"]) if os.environ.get("CA") else True
    transport = Wire(httpx2.AsyncHTTPTransport(verify=verify))
    headers = json.loads(os.environ.get("HEADERS", "{}"))
    if os.environ.get("TOKEN"):
        headers["authorization"] = f"Bearer {os.environ['TOKEN']}"
    http = httpx2.AsyncClient(headers=headers, transport=transport, timeout=httpx2.Timeout(30, read=60))
    client = Client(
        streamable_http_client(os.environ["URL"], http_client=http),
        mode=MODES[os.environ.get("ERA", "auto")],
        sampling_callback=sample,
        elicitation_callback=elicit,
        list_roots_callback=roots,
        message_handler=hear,
        client_info=types.Implementation(name="e2e-python", version="1"),
        read_timeout_seconds=30,
    )
    connected = False
    try:
        async with http, client:
            connected = True
            info = client.server_info
            say(
                "connect",
                ok={
                    "version": client.protocol_version,
                    "server": plain(info) if info else None,
                    "capabilities": plain(client.server_capabilities),
                },
            )
            for step in steps:
                if step["do"] == "end":
                    break
                try:
                    say(step["do"], ok=await take(client, transport, step))
                except Exception as raised:
                    if os.environ.get("TRACE"):
                        traceback.print_exc()
                    say(step["do"], error=error(raised))
    except Exception as raised:
        if os.environ.get("TRACE"):
            traceback.print_exc()
        say("end" if connected else "connect", error=error(raised), wire=wire)
        return
    # The session ends with the client; what of it was on the wire is known only now.
    say("end", ok=wire)


asyncio.run(main())

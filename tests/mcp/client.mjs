// The MCP SDK for TypeScript as a client. Takes steps, prints one JSON line for each; the test judges them.
// What a step is, and what its line says: tests/mcp/README.md. URL, TOKEN, ERA and HEADERS come by the environment,
// NODE_EXTRA_CA_CERTS names the certificate authority. Which SDK (`client` is 2.x, `sdk` 1.x) says SDK; MODULES where
// they are.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";

const { URL: url, TOKEN: token, ERA: era = "auto", MODULES: modules, SDK: sdk = "client" } = process.env;
const find = createRequire(`${modules}/here.js`);
const load = (name) => import(pathToFileURL(find.resolve(name)).href);

const asked = [];
const told = [];
const wire = [];
let cut = 0;

const say = (step, what) => console.log(JSON.stringify({ do: step, ...what }));
const error = (raised) => ({
  code: raised.code ?? null,
  message: raised.message,
  data: raised.data,
  kind: raised.constructor.name,
  cause: raised.cause?.message,
});

// A body that breaks off behind so many events.
function cutting(body, events) {
  let seen = "";
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) return controller.close();
      controller.enqueue(value);
      seen += new TextDecoder().decode(value);
      if (seen.replaceAll("\r\n", "\n").split("\n\n").length > events) {
        await reader.cancel();
        controller.error(new Error("cut, as the step says"));
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

// Writes down each exchange, and cuts a stream when a step says so.
async function watched(input, init = {}) {
  const response = await fetch(input, init);
  const headers = new Headers(init.headers);
  let rpc = null;
  if (typeof init.body === "string" && init.body.startsWith("{")) rpc = JSON.parse(init.body).method ?? null;
  wire.push({
    method: init.method ?? "GET",
    rpc,
    status: response.status,
    type: response.headers.get("content-type"),
    session: headers.get("mcp-session-id"),
    version: headers.get("mcp-protocol-version"),
    last: headers.get("last-event-id"),
    challenge: response.headers.get("www-authenticate"),
  });
  if (cut === 0 || rpc !== "tools/call") return response;
  const body = cutting(response.body, cut);
  cut = 0;
  return new Response(body, { status: response.status, headers: response.headers });
}

async function made() {
  const info = { name: "e2e-typescript", version: "1" };
  const capabilities = { sampling: {}, elicitation: {}, roots: {} };
  const headers = JSON.parse(process.env.HEADERS ?? "{}");
  if (token) headers.authorization = `Bearer ${token}`;
  const options = { requestInit: { headers }, fetch: watched };
  const note = (method, result) => (request) => {
    asked.push({ method, params: request.params ?? {} });
    return result;
  };
  const answers = {
    "sampling/createMessage": {
      role: "assistant",
      model: "nobody",
      content: { type: "text", text: "sampled by the client" },
    },
    "elicitation/create": { action: "decline" },
    "roots/list": { roots: [{ uri: "file:///tmp/e2e", name: "e2e" }] },
  };
  if (sdk === "sdk") {
    if (era !== "legacy") throw new Error("this SDK knows the legacy era only");
    const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const types = await load("@modelcontextprotocol/sdk/types.js");
    const client = new Client(info, { capabilities });
    const schemas = {
      "sampling/createMessage": types.CreateMessageRequestSchema,
      "elicitation/create": types.ElicitRequestSchema,
      "roots/list": types.ListRootsRequestSchema,
    };
    for (const [method, schema] of Object.entries(schemas)) {
      client.setRequestHandler(schema, note(method, answers[method]));
    }
    client.fallbackNotificationHandler = async (notification) => void told.push(notification);
    return [client, new StreamableHTTPClientTransport(new URL(url), options)];
  }
  const { Client, StreamableHTTPClientTransport } = await load("@modelcontextprotocol/client");
  const mode = era === "modern" ? { pin: "2026-07-28" } : era;
  const client = new Client(info, { capabilities, versionNegotiation: { mode } });
  for (const method of Object.keys(answers)) client.setRequestHandler(method, note(method, answers[method]));
  client.fallbackNotificationHandler = async (notification) => void told.push(notification);
  return [client, new StreamableHTTPClientTransport(new URL(url), options)];
}

async function pages(list, member) {
  const all = [];
  let count = 0;
  let cursor;
  do {
    // The SDK's 2.x gathers all pages where none is named; a cursor makes it ask for one.
    const result = await list(cursor === undefined ? {} : { cursor }, { cacheMode: "refresh" });
    all.push(...result[member]);
    cursor = result.nextCursor;
    count += 1;
  } while (cursor !== undefined);
  return { pages: count, [member]: all };
}

async function callTool(client, step) {
  const progress = [];
  const options = { timeout: (step.timeout ?? 30) * 1000 };
  if (step.progress) options.onprogress = (it) => progress.push([it.progress, it.total ?? null, it.message ?? null]);
  const params = { name: step.name, arguments: step.arguments ?? {} };
  const result = sdk === "sdk" ? client.callTool(params, undefined, options) : client.callTool(params, options);
  return { ...(await result), progress };
}

async function take(client, step) {
  switch (step.do) {
    case "list_tools":
      return pages((params, options) => client.listTools(params, options), "tools");
    case "list_resources":
      return pages((params, options) => client.listResources(params, options), "resources");
    case "list_prompts":
      return pages((params, options) => client.listPrompts(params, options), "prompts");
    case "call":
      cut = step.cut ?? 0;
      return callTool(client, step);
    case "calls":
      return Promise.all(Array.from({ length: step.count }, () => callTool(client, step)));
    case "read_resource":
      return client.readResource({ uri: step.uri });
    case "get_prompt":
      return client.getPrompt({ name: step.name, arguments: step.arguments });
    case "complete":
      return client.complete({ ref: step.ref, argument: step.argument });
    case "ping":
      return client.ping();
    case "wait":
      return sleep(step.seconds * 1000, null);
    case "asked":
      return asked;
    case "told":
      return told;
    case "wire":
      return wire;
    default:
      throw new Error(`no such step: ${step.do}`);
  }
}

async function main() {
  const [client, transport] = await made();
  try {
    await client.connect(transport);
  } catch (raised) {
    return say("connect", { error: error(raised), wire });
  }
  const version = client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? null;
  say("connect", {
    ok: { version, server: client.getServerVersion(), capabilities: client.getServerCapabilities() },
  });
  for (const step of JSON.parse(process.argv[2])) {
    if (step.do === "end") break;
    try {
      say(step.do, { ok: (await take(client, step)) ?? null });
    } catch (raised) {
      if (process.env.TRACE) console.error(raised);
      say(step.do, { error: error(raised) });
    }
  }
  try {
    await transport.terminateSession();
    await client.close();
    say("end", { ok: wire });
  } catch (raised) {
    say("end", { error: error(raised), wire });
  }
}

await main();
process.exit(0);

"""The Anthropic SDK reads streams: {name: events} on stdin, what it makes of each on stdout. Nothing is sent anywhere."""

import json
import sys

import anthropic
import httpx2


def read(events):
    def answer(_request):
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=events.encode())

    client = anthropic.Anthropic(
        base_url="http://gate.invalid",
        api_key="none",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    try:
        with client.messages.stream(
            model="claude-sonnet-4-5",
            max_tokens=64,
            messages=[{"role": "user", "content": "Say something."}],
        ) as stream:
            texts = "".join(stream.text_stream)
            message = stream.get_final_message()
    except anthropic.APIStatusError as raised:
        return {"error": raised.body["error"]["type"]}
    return {"texts": texts, "message": message.to_dict()}


json.dump({name: read(events) for name, events in json.load(sys.stdin).items()}, sys.stdout)

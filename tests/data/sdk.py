"""The Anthropic SDK as a client of the gate. Prints one JSON object; the test judges it."""

import json
import os
import ssl
import sys

import anthropic

context = ssl.create_default_context(cafile=os.environ["CA"])


def client(token, **options):
    return anthropic.Anthropic(
        base_url=os.environ["BASE"],
        auth_token=token,
        api_key=None,
        max_retries=0,
        http_client=anthropic.DefaultHttpxClient(verify=context),
        **options,
    )


def ask(model="claude-sonnet-4-5", script="good"):
    return {
        "model": model,
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "Say something."}],
        "metadata": {"user_id": os.environ["SCRIPT_" + script]},
    }


def error(call):
    try:
        call()
    except anthropic.APIStatusError as raised:
        return [type(raised).__name__, raised.status_code, raised.request_id, raised.body["error"]["type"]]
    return None


good = client(os.environ["TOKEN"])
message = good.messages.create(**ask())
with good.messages.stream(**ask(script="stream")) as stream:
    texts = list(stream.text_stream)
    final = stream.get_final_message()

json.dump(
    {
        "version": anthropic.__version__,
        "create": [message.content[0].text, message.usage.input_tokens, message.stop_reason],
        "stream": [len(texts), "".join(texts), final.usage.output_tokens],
        "count": good.messages.count_tokens(model="claude-sonnet-4-5", messages=ask()["messages"]).input_tokens,
        "bad_token": error(lambda: client("a.b.c").messages.create(**ask())),
        "bad_model": error(lambda: good.messages.create(**ask(model="gpt-5"))),
        "limited": error(lambda: good.messages.create(**ask(script="limited"))),
        "overloaded": error(lambda: good.messages.create(**ask(script="overloaded"))),
    },
    sys.stdout,
)

"""The real `mcp-server-time`, over HTTP instead of standard input: its own server, served as its SDK does."""

import sys

from mcp_server_time.server import create_server

create_server("UTC").run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))

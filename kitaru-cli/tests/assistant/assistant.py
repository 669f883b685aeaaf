"""Calls tools of an MCP server with the official SDK.

Takes the server as JSON (a command, or an address with its token), and the calls as a JSON list of names and arguments. Prints
the names of the tools, then each result, as a line of JSON.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


def transport(server):
    if "url" not in server:
        return StdioServerParameters(**server)
    headers = {"Authorization": f"Bearer {server['token']}"}
    return streamable_http_client(server["url"], http_client=httpx2.AsyncClient(headers=headers))


async def main():
    server, calls, mode = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
    async with Client(transport(server), mode=mode) as client:
        assert client.server_info is None or client.server_info.name == "kitaru", client.server_info
        assert "do not follow instructions" in client.instructions, client.instructions
        print(json.dumps([tool.name for tool in (await client.list_tools()).tools]))
        for name, arguments in calls:
            result = await client.call_tool(name, arguments)
            print(json.dumps({"is_error": bool(result.is_error), "text": result.content[0].text}))


asyncio.run(main())

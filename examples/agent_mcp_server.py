"""An MCP server with one tool, by the official SDK: `pip install mcp`."""

import sys

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("tides", log_level="ERROR")


@server.tool()
def tide(port: str, feet: bool = False) -> str:
    """How high the water stands."""
    if port == "Atlantis":
        raise ToolError("it has sunk")
    return f"{'10 feet' if feet else '3 metres'} at {port}"


if len(sys.argv) > 1:
    server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
else:
    server.run(transport="stdio")

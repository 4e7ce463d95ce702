"""The API: four functions for programs and MCP clients."""

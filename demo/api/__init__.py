"""The functions for programs and MCP clients."""

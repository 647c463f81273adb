"""What a first visit needs: a mock MCP server to put behind the door."""

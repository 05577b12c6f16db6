"""The door for agents: the Model Context Protocol at `/mcp`, by its official SDK. No rule about callers, money or limits here."""

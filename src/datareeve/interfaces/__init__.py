"""What people and programs see: the command line and MCP. They parse, call `app`, and render; they decide nothing."""

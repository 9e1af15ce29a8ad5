"""Everything that two processes must agree on: keys, the envelope, and one Lua script for each transition."""

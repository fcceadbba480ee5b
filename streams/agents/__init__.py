"""The two agents: records to facts, facts to alerts."""

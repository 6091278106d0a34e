"""One inspection from end to end: a real Prometheus and node exporter, the stand-in for Candy-Server, and the agent."""

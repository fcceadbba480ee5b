"""How fast a worker is on a real Kafka, beside others on the same broker."""

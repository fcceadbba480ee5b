"""A rule set that is changed on a running system: `ringfence switch` on a real Kafka."""

"""The AT Protocol: what comes over its streams and from its services, as rows of the contracts."""

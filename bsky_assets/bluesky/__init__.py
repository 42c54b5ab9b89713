"""The AT Protocol: what comes over its streams and from its services, as rows of the contracts."""

import stamina.instrumentation

# Who tries again says so itself; by default a line for each try goes to standard output.
stamina.instrumentation.set_on_retry_hooks([])

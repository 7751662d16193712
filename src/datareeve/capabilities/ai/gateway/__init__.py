"""The gateway: the data plane of AI APIs. Applications keep their official SDK and change a base URL.

One request's way: `wire` (systems/http1) → `engine` → who asks (`config`) → what is asked (`dialects`) → room (`meters`) → an earlier
answer (`cache`) → targets in order (`failing`) → the provider (systems/upstream) → what it used (`usage_log`). Everything that a request
needs is in memory; what is written is written off its path.
"""

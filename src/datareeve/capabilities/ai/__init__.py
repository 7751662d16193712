"""AI APIs: one gateway in front of their providers, and what keeps it right.

Vocabulary: a *provider* is a system of kind `openai` or `anthropic`; a *provider key* is ours, shown to the provider, sealed in the gateway's
store; a *virtual key* is one that an application or a person shows to the gateway; a *route* is a model name that applications use, with its
*targets* in order; an *instance* is one running gateway process, which says which *revision* of the store it works by.
"""

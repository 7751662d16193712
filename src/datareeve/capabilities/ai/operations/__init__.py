"""One operation a file, verb_noun: what can be done with AI APIs and the gateway in front of them."""

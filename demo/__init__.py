"""`make demo`: from nothing to a chat with a llama.cpp server on a real cluster, one readable step after the other.

The end-to-end tests install the operator with the same functions, so what the demo shows is what is tested.
"""

"""The protocols that plugins implement, and the Specs that announce the implementations.

Third parties program against these. A new capability is a new optional field of a Spec, never a new method of a
published protocol.
"""

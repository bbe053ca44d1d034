"""Define the typed methods that cannot be derived, by resource; `methods.py` holds the derived ones.

A method's signature is its operation's parameter model.
"""

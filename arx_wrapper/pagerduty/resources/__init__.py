"""The 45 typed methods, by resource. A method's signature is its operation's parameter model."""

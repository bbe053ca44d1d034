"""Serve the reviewers' console: waiting and decided requests, agents, log and policy, behind a passkey.

Needs the extra `console`. The server renders the pages, which are readable without JavaScript; scripts are for passkeys
and live updates only. Nothing is loaded from another host.
"""

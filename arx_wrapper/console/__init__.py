"""The reviewers' pages: what waits, what was decided, the agents, the log and the policy, behind a passkey.

Needs the extra `console`. Pages are rendered here and readable without JavaScript; scripts are for passkeys and live
updates only. Nothing is loaded from another host.
"""

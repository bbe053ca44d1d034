"""Hold the hand-written modules of the generated package, which are copied into it beside the templates' output."""

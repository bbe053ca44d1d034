"""Hand-written modules of the generated package: copied into it beside what the templates yield."""

"""Words: how text is folded, undisguised, told by language and read by lists and rules.

What belongs here: what is true of any text. What does not: which words mean what (`judging`).
Texts in columns come in, cleaned or read texts go out.
"""

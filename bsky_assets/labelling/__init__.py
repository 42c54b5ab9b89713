"""Labels by language models: what is asked, what came back, and how far it can be believed.

What belongs here: the labels, the audit and their details of a day; begin at `day.label_day`. What
does not: how a model is asked (`asking`), what it said (`ledger`), how good that is (`statistics`).
Posts that passed come in, labels and what was spent on them go out.
"""

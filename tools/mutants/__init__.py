"""tests/mutants/*.patch -> whether the tests that each patch names fail because of it. `make test-mutants` runs it.

    python -m tools.mutants                       every mutant
    python -m tools.mutants landing_today_local   some of them
    python -m tools.mutants --list                what each breaks, and which test must see it
    python -m tools.mutants --changed-since auto  those whose patch, patched files or killers changed

tests/mutants/README.md says what a mutant is and how its patch looks. Everything happens in a temporary copy of the
checkout, with its uncommitted changes. Each killer must pass there first. Then each mutant is applied, and each of its
killers runs alone. A killer kills only by a failed test: an error in collection, in a fixture or of pytest itself
proves nothing.

Exits with 1 if a mutant survives, and with 2 if there is an error: a patch does not apply, or a killer is missing, does
not pass without the mutant, or does not run to its end.

patches.py    the mutants of a checkout, and those that a change concerns
checkout.py   the copy of the checkout, and pytest in it
judge.py      the verdicts
"""

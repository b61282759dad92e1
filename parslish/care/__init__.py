"""Looking after stores from outside a run: listing, thinning out, moving. Nothing here opens a value.

Reading order: `frames`, `items`, `selection`, `reach`; then `leaving`, `fates`, `plan`, `rewrite` and what they are
for, `compact` and `prune`; then `transfer`, which moves records between stores, and `parsl`, which cannot.
"""

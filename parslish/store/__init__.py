"""The store: folders of append-only segments, bytes only. FORMAT.md is the specification.

Writing, from the caller to the disk: `log` → `sync`, `spool` → `writer` → `pending`, `segment` → `frame`, `index` →
`disk`.
Reading, from the disk to the caller: `source` → `scan` → `summary` → `gaps` → `listing`, `loading`, `records` →
`view` → `reader`; and `check`.
Large values lie beside the segments: `blobs`.
"""

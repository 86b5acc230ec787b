"""Labelled faces: FER2013, FER+, CK+, RAF-DB, AffectNet, LFW-emotions, any tree of images, and built-in synthetic ones.

All give :class:`~ferbench.samples.Samples` by official split, with subjects where they are known, under a revision
that is the digest of their content. What cannot be read is counted and told, never dropped in silence.
"""

from __future__ import annotations

from ferbench.datasets.audit import AuditReport, audit
from ferbench.datasets.base import skipped_warning
from ferbench.datasets.decode import read_image
from ferbench.datasets.folds import subject_folds
from ferbench.datasets.loading import load_dataset, load_recorded
from ferbench.datasets.overlap import has_learnt_from, same_pictures
from ferbench.datasets.paths import cache_dir, data_root

__all__ = [
    "AuditReport",
    "audit",
    "cache_dir",
    "data_root",
    "has_learnt_from",
    "load_dataset",
    "load_recorded",
    "read_image",
    "same_pictures",
    "skipped_warning",
    "subject_folds",
]

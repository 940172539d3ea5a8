//! Difference of two catalogues.

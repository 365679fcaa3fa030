"""Where documents come from and what came of them: ancestors, descendants, the tree of an object, diagnostics."""

"""Retrievers: named, versioned pipelines of stages, their execution, and the stages there are."""

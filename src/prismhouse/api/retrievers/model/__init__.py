"""What a retriever is, without a database: its inputs, its pages, its wire shape."""

from prismhouse.api.retrievers.model.definition import Retriever, retriever_answer
from prismhouse.api.retrievers.model.inputs import CheckedInputs, check_inputs, input_fields
from prismhouse.api.retrievers.model.pages import ResultPage, page_answer, result_page

__all__ = [
    "CheckedInputs",
    "ResultPage",
    "Retriever",
    "check_inputs",
    "input_fields",
    "page_answer",
    "result_page",
    "retriever_answer",
]

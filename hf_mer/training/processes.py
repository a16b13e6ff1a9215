"""What one process of a distributed run decides for all of them."""

from collections.abc import Callable
from typing import Any, TypeVar

from accelerate.utils import broadcast_object_list
from transformers import TrainingArguments

T = TypeVar("T")


def decided_by_main(args: TrainingArguments, decide: Callable[[], T]) -> T:
    """Calls a function in the main process alone; every process gets its value, or its error.

    What is looked up on disk may change between two looks, and processes that go different ways wait for each other
    for ever.

    Args:
        args: Of the training.
        decide: Its value can be pickled.
    """
    if args.world_size == 1:
        return decide()
    decided: list[Any] = [None, None]
    if args.process_index == 0:
        try:
            decided[0] = decide()
        except (ValueError, OSError) as error:
            decided[1] = error
    broadcast_object_list(decided)
    if decided[1] is not None:
        raise decided[1]
    return decided[0]

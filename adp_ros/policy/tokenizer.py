"""Instruction to prompt ids, with the checkpoint's own ``tokenizer.json``."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from ..errors import CheckpointError, ObservationError

BOS_ID: Final = 1
STOP_ID: Final = 2
SPACE_ID: Final = 29871  # the bare word boundary that OpenVLA appends to every prompt
TOKENIZER_FILE: Final = "tokenizer.json"
_CACHED_PROMPTS: Final = 64


def prompt_text(instruction: str) -> str:
    """Return the text that OpenVLA-OFT was trained to read."""
    return f"In: What action should the robot take to {instruction.lower()}?\nOut:"


class PromptTokenizer:
    """Tokeniser of one checkpoint; the ids of an instruction are computed once."""

    def __init__(self, checkpoint_dir: Path) -> None:
        """Read ``tokenizer.json``.

        Raises:
            CheckpointError: The file is missing or broken, or its ids are not Llama 2's.
        """
        path = checkpoint_dir / TOKENIZER_FILE
        if not path.is_file():
            raise CheckpointError(f"{path} is missing")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise CheckpointError(f"{path} is not a tokeniser: {error}") from error
        self._special = frozenset(self._tokenizer.get_added_tokens_decoder())
        self._cached = lru_cache(maxsize=_CACHED_PROMPTS)(self._encode)
        if self._cached("move")[0] != BOS_ID or self._tokenizer.id_to_token(SPACE_ID) != "▁":
            raise CheckpointError(
                f"{path}: prompts do not start with id {BOS_ID} or id {SPACE_ID} is not the bare "
                "word boundary; only tokenisers of the Llama 2 layout are supported"
            )

    def encode(self, instruction: str) -> tuple[int, ...]:
        """Return the prompt's ids, from BOS (1) to the trailing word boundary (29871).

        Args:
            instruction: What to do, in plain words; case does not matter.

        Raises:
            ObservationError: The instruction is empty, no valid text, or spells one of the
                special tokens.
        """
        if not instruction.strip():
            raise ObservationError("instruction is empty, say in words what the arm should do")
        try:
            return self._cached(instruction)
        except TypeError as error:  # what the library says of text that has no UTF-8 form
            raise ObservationError(f"instruction {instruction!r} is no valid text") from error

    def _encode(self, instruction: str) -> tuple[int, ...]:
        ids = tuple(self._tokenizer.encode(prompt_text(instruction)).ids)
        if special := self._special.intersection(ids[1:]):
            spelled = ", ".join(str(self._tokenizer.id_to_token(i)) for i in sorted(special))
            raise ObservationError(f"instruction {instruction!r} contains {spelled}")
        return ids if ids[-1] == SPACE_ID else (*ids, SPACE_ID)

"""Instruction to prompt ids, with the checkpoint's own ``tokenizer.json`` or a stand-in for it.

Same layout (unk 0, BOS 1, EOS 2, bytes 3 to 258, bare word boundary 29871, padding 32000), same
file formats, any text can be encoded; but its own small vocabulary, so that other ids come out.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Tokenizer, normalizers
from tokenizers.models import BPE
from tokenizers.normalizers import Prepend, Replace
from tokenizers.processors import TemplateProcessing

from ...errors import CheckpointError, ObservationError
from ..checkpoints import write_json

BOS_ID: Final = 1
STOP_ID: Final = 2
SPACE_ID: Final = 29871  # the bare word boundary that OpenVLA appends to every prompt
TOKENIZER_FILE: Final = "tokenizer.json"
_CACHED_PROMPTS: Final = 64


PROMPT: Final = "In: What action should the robot take to {}?\nOut:"  # OpenVLA v0.2 and OpenVLA-OFT


def prompt_text(instruction: str, template: str = PROMPT) -> str:
    """Return the text that a model was trained to read, OpenVLA-OFT unless a template says else."""
    return template.format(instruction.lower())


class PromptTokenizer:
    """Tokeniser of one checkpoint; the ids of an instruction are computed once.

    The template has ``{}`` for the instruction.

    Raises:
        CheckpointError: ``tokenizer.json`` is missing or broken, or its ids are not Llama 2's.
    """

    def __init__(self, checkpoint_dir: Path, template: str = PROMPT) -> None:
        path = checkpoint_dir / TOKENIZER_FILE
        if not path.is_file():
            raise CheckpointError(f"{path} is missing")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise CheckpointError(f"{path} is not a tokeniser: {error}") from error
        self._tokenizer.no_truncation()  # the file keeps both from whoever saved it, the model
        self._tokenizer.no_padding()  # was trained without
        self._special = frozenset(self._tokenizer.get_added_tokens_decoder())
        self._template = template
        self._cached = lru_cache(maxsize=_CACHED_PROMPTS)(self._encode)
        if self._cached("move")[0] != BOS_ID or self._tokenizer.id_to_token(SPACE_ID) != "▁":
            raise CheckpointError(
                f"{path}: prompts do not start with id {BOS_ID} or id {SPACE_ID} is not the bare "
                "word boundary; only tokenisers of the Llama 2 layout are supported"
            )

    def encode(self, instruction: str) -> tuple[int, ...]:
        """Return the prompt's ids, from BOS (1) to the trailing word boundary (29871).

        Case does not matter.

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
        ids = tuple(self._tokenizer.encode(prompt_text(instruction, self._template)).ids)
        if special := self._special.intersection(ids[1:]):
            spelled = ", ".join(str(self._tokenizer.id_to_token(i)) for i in sorted(special))
            raise ObservationError(
                f"instruction {instruction!r} contains {spelled}, a special token of the model; "
                "write it otherwise"
            )
        return ids if ids[-1] == SPACE_ID else (*ids, SPACE_ID)


VOCABULARY: Final = 32000
PAD_ID: Final = 32000
_BOUNDARY: Final = "▁"
_FIRST_PIECE: Final = 259  # after <unk>, <s>, </s> and the 256 bytes
_CHARACTERS: Final = "etaoinshrdlcumwfgypbvkxjqzETAOINSHRDLCUMWFGYPBVKXJQZ0123456789.,-'"
_WORDS: Final = """
    in what action should the robot take to a an and at all away back ball bin block blue board
    bottle bowl box bread carrot clean close cloth cube cup down drawer drop eggplant finger fork
    from front get grasp green gripper hand hold inside into it item jar left lid lift middle mug
    move next of off on onto open orange out over pan pick pink place plate pot pour pull purple
    push put red release right rotate side slide small spoon sponge stack stop surface sweep table
    then top toward towel tray turn under up upright wait water white wipe with yellow
""".split()  # noqa: SIM905
_PLACED: Final = {"Out": 3744, ":": 29901, "?": 29973}  # prompts end with Llama 2's own ids


def write_tokenizer(directory: Path) -> None:
    """Write the tokeniser's files beside a checkpoint's weights, in place of those there are."""
    text = _tokenizer().to_str(pretty=True) + "\n"
    (directory / TOKENIZER_FILE).write_text(text, encoding="utf-8")
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<PAD>", "unk_token": "<unk>"}
    write_json(directory / "special_tokens_map.json", special)
    write_json(directory / "added_tokens.json", {"<PAD>": PAD_ID})
    settings = {
        "add_bos_token": True,
        "add_eos_token": False,
        **special,
        "legacy": False,
        "model_max_length": 2048,
        "padding_side": "right",
        "processor_class": "PrismaticProcessor",
        "tokenizer_class": "LlamaTokenizer",
    }
    write_json(directory / "tokenizer_config.json", settings)


def _tokenizer() -> Tokenizer:
    vocabulary, merges = _pieces()
    tokenizer = Tokenizer(
        BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    boundaries = [Prepend(_BOUNDARY), Replace(" ", _BOUNDARY)]
    tokenizer.normalizer = normalizers.Sequence(boundaries)
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="$A $B:1", special_tokens=[("<s>", BOS_ID)]
    )
    special = [AddedToken(text, normalized=False) for text in ("<unk>", "<s>", "</s>", "<PAD>")]
    tokenizer.add_special_tokens(special)
    return tokenizer


def _pieces() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the vocabulary and the merges, which grow each word from its left end."""
    fixed = {"<unk>": 0, "<s>": BOS_ID, "</s>": STOP_ID, **_PLACED}
    fixed |= {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    letters = (n for n in range(SPACE_ID, VOCABULARY) if n not in _PLACED.values())
    fixed |= dict(zip(_BOUNDARY + _CHARACTERS, letters, strict=False))
    words = [*(_BOUNDARY + w for w in (*_WORDS, "In", "What")), *_PLACED]
    merges = list(dict.fromkeys((w[:i], w[i]) for w in words for i in range(1, len(w))))
    grown = [left + right for left, right in merges if left + right not in fixed]
    taken = set(fixed.values())
    free = (n for n in range(_FIRST_PIECE, VOCABULARY) if n not in taken)
    vocabulary = fixed | {piece: next(free) for piece in dict.fromkeys(grown)}
    return vocabulary | {f"<unused {number}>": number for number in free}, merges

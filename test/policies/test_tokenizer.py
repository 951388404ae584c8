"""Prompt ids, against the original code's, and the stand-in tokeniser of our own checkpoints."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from adp_ros.errors import CheckpointError, ObservationError
from adp_ros.policies.openvla.tokenizer import PromptTokenizer, prompt_text, write_tokenizer

GOLDEN = Path(__file__).parents[1] / "golden"
PROMPTS = json.loads((GOLDEN / "prompts.json").read_text())


@pytest.fixture(scope="module")
def golden():
    """Tokeniser of the recorded checkpoint."""
    return PromptTokenizer(GOLDEN / "checkpoint")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Directory with our own tokeniser."""
    directory = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(directory)
    return directory


@pytest.mark.parametrize("instruction", PROMPTS)
def test_agrees_with_the_original_code(golden, instruction):
    """Ids are those that OpenVLA-OFT fed to its model, followed by the bare word boundary."""
    assert golden.encode(instruction) == (*PROMPTS[instruction], 29871)


def test_boundary_is_not_doubled(golden):
    """The boundary is appended only where the prompt doesn't end with it already."""
    assert golden.encode("wipe the table").count(29871) == 1


@pytest.mark.parametrize("instruction", ["", "  ", "\n\t"])
def test_empty_instruction_is_refused(golden, instruction):
    """White space is no instruction."""
    with pytest.raises(ObservationError, match="instruction is empty"):
        golden.encode(instruction)


def test_broken_text_is_refused(golden):
    """Half of a surrogate pair, as a wrongly decoded command line has, is refused."""
    with pytest.raises(ObservationError, match="is no valid text"):
        golden.encode("wipe \ud800")


@pytest.mark.parametrize("text", [None, "", "{}", '{"model": {"type": "BPE"}}'])
def test_broken_tokenizer_is_named(tmp_path, text):
    """A missing or broken tokenizer.json is an error that names the file."""
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        PromptTokenizer(tmp_path)


def test_other_layout_is_refused(own, tmp_path):
    """A tokeniser without BOS is refused: its ids would not be what the model was trained on."""
    values = json.loads((own / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(values | {"post_processor": None}))
    with pytest.raises(CheckpointError, match="only tokenisers of the Llama 2 layout"):
        PromptTokenizer(tmp_path)


def test_own_tokenizer_ends_like_llama(own):
    """Our prompts end with Llama 2's ids for ?, newline, Out, : and the boundary."""
    ids = PromptTokenizer(own).encode("wipe the table")
    assert ids[0] == 1
    assert ids[-5:] == (29973, 13, 3744, 29901, 29871)
    assert 15 <= len(ids) <= 20


def test_own_tokenizer_has_the_llama_layout(own):
    """Special tokens, bytes and padding sit at Llama 2's ids, and every id is taken."""
    tokenizer = Tokenizer.from_file(str(own / "tokenizer.json"))
    named = {
        "<unk>": 0,
        "<s>": 1,
        "</s>": 2,
        "<0x00>": 3,
        "<0xFF>": 258,
        "▁": 29871,
        "<PAD>": 32000,
    }
    assert {token: tokenizer.token_to_id(token) for token in named} == named
    assert sorted(tokenizer.get_vocab().values()) == list(range(32001))


@pytest.fixture(scope="module")
def spelling(own):
    """Our own prompts, and what an id spells."""
    tokenizer = Tokenizer.from_file(str(own / "tokenizer.json"))

    def spelled(token):
        text = tokenizer.id_to_token(token)
        return bytes([int(text[3:5], 16)]) if text.startswith("<0x") else text.encode()

    return PromptTokenizer(own), spelled


@settings(max_examples=200)
@given(st.text(min_size=1, max_size=60).filter(lambda text: text.strip() and "<" not in text))
def test_own_tokenizer_encodes_any_text(spelling, instruction):
    """Nothing is lost: the tokens spell the prompt, unknown characters as their bytes."""
    tokenizer, spelled = spelling
    ids = tokenizer.encode(instruction)
    text = b"".join(spelled(token) for token in ids[1:-1]).decode()
    assert text == "▁" + prompt_text(instruction).replace(" ", "▁")


@pytest.mark.parametrize("token", ["</s>", "<unk>", "<s>"])
def test_special_token_in_the_instruction_is_refused(golden, token):
    """Text that would become a control token of the model is refused by name."""
    with pytest.raises(ObservationError, match=f"contains {token}"):
        golden.encode(f"wipe {token} the table")


@pytest.mark.parametrize(
    "left",
    [
        {"truncation": {"direction": "Right", "max_length": 12, "strategy": "LongestFirst",
                        "stride": 0}},
        {"padding": {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None,
                     "pad_id": 32000, "pad_type_id": 0, "pad_token": "<PAD>"}},
    ],
)  # fmt: skip
def test_what_another_tool_left_in_the_file_changes_nothing(tmp_path, left):
    """Truncation and padding of the tool that saved the tokeniser are no part of the model."""
    write_tokenizer(tmp_path)
    words = "place the blue cube on the plate"
    ids = PromptTokenizer(tmp_path).encode(words)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | left))
    assert PromptTokenizer(tmp_path).encode(words) == ids
    assert len(ids) > 12
